"""Waivers: one file, each reported, and none that is over, unknown or of no use."""

from __future__ import annotations

import datetime
import json
import shutil

import pytest

from policies.gate.check import Options, check
from policies.gate.cli import main

SOON = datetime.date.today() + datetime.timedelta(days=30)
TODAY = datetime.date(2027, 1, 15)
WAIVER = {
    "rule": "MAIL_REP_001",
    "place": ".gitignore#*.key",
    "reason": "Keys of the test authority are public on purpose.",
    "owner": "admin@example.com",
    "expires": "2027-01-31",
}


@pytest.fixture
def repository(generate, tmp_path):
    """A generated repository with one finding: .gitignore has lost a line."""
    copy = tmp_path / "repository"
    shutil.copytree(generate(), copy)
    file = copy / ".gitignore"
    file.write_text(file.read_text().replace("*.key\n", ""))
    return copy


def judge(root, *waivers, only=("MAIL_REP_001",)):
    (root / "policy.yml").write_text(json.dumps({"waivers": list(waivers)}))
    return check(root, Options(only=only, today=TODAY)).report


def test_a_waiver_turns_the_finding_into_a_report_of_it(repository, capsys):
    report = judge(repository, WAIVER)
    assert (report.exit_code, report.findings) == (0, [])
    assert report.waived[0].waived == f"{WAIVER['reason']} (admin@example.com, until 2027-01-31)"


def test_a_waived_finding_is_shown_in_every_run(repository, capsys):
    (repository / "policy.yml").write_text(json.dumps({"waivers": [WAIVER | {"expires": SOON.isoformat()}]}))
    assert main(["check", str(repository), "--only", "MAIL_REP_001"]) == 0
    said = capsys.readouterr().out
    assert "waived .gitignore:1 MAIL_REP_001" in said
    for part in ("*.key", WAIVER["reason"], WAIVER["owner"], SOON.isoformat()):
        assert part in said


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"expires": "2027-01-14"}, "waiver-expired", 2),
        ({"rule": "MAIL_REP_999"}, "waiver-unknown", 2),
        ({"place": ".gitignore#*.pem"}, "waiver-unused", 2),
        ({"place": "docker-compose.yml"}, "waiver-unused", 2),
        ({"reason": "because"}, "policy-invalid", 2),
        ({"expires": "soon"}, "policy-invalid", 2),
        ({"expires": "2027-02-30"}, "waiver-invalid", 2),
        ({"expires": "2028-01-17"}, "waiver-too-long", 2),
        ({"place": "./.gitignore"}, "policy-invalid", 2),
        ({"place": ".gitignore:1"}, "waiver-unused", 2),
        ({"rule": "CKV_DOCKER_99999"}, "waiver-unknown", 2),
        ({"colour": "red"}, "policy-invalid", 2),
    ],
)
def test_a_waiver_that_is_no_good_stops_the_gate(repository, change, kind, code):
    report = judge(repository, WAIVER | change)
    assert report.exit_code == code and kind in {problem.kind for problem in report.problems}


@pytest.mark.parametrize("key", sorted(WAIVER))
def test_every_field_of_a_waiver_is_needed(repository, key):
    report = judge(repository, {name: value for name, value in WAIVER.items() if name != key})
    assert any(f"{key} is missing" in problem.what for problem in report.problems)
    assert report.findings, "it waives nothing"


def test_a_date_without_quotes_is_a_date(repository):
    text = (
        "waivers:\n  - rule: MAIL_REP_001\n    place: .gitignore#*.key\n"
        "    reason: Keys of the test are public.\n"
    )
    (repository / "policy.yml").write_text(text + "    owner: admin\n    expires: 2027-01-31\n")
    assert check(repository, Options(only=("MAIL_REP_001",), today=TODAY)).report.exit_code == 0


def test_a_waiver_holds_on_its_last_day(repository):
    assert judge(repository, WAIVER | {"expires": "2027-01-15"}).exit_code == 0


def test_a_waiver_of_a_rule_that_did_not_run_is_not_called_unused(repository):
    file = repository / ".gitignore"
    file.write_text(file.read_text() + "*.key\n")
    assert judge(repository, WAIVER, only=("MAIL_CMP_001",)).exit_code == 0


def test_a_waiver_for_one_thing_leaves_the_others(repository):
    file = repository / ".gitignore"
    file.write_text(file.read_text().replace("*.pem\n", ""))
    report = judge(repository, WAIVER)
    assert [found.entity for found in report.findings] == ["*.pem"]


# ---- what the message says: where, what is wrong, what to write


def problems(report):
    return [(each.kind, str(each.place), each.what, each.fix) for each in report.problems]


def test_a_day_that_does_not_exist_is_told_with_its_line(repository):
    text = json.dumps({"waivers": [WAIVER | {"expires": "2027-02-30"}]}, indent=1)
    (repository / "policy.yml").write_text(text)
    report = check(repository, Options(only=("MAIL_REP_001",), today=TODAY)).report
    what = "expires is 2027-02-30, and the calendar has no such day"
    place = f"policy.yml:{1 + text[: text.index('expires')].count(chr(10))}"
    assert problems(report) == [("waiver-invalid", place, what, "write a day that exists, as 2027-01-31")]


def test_a_waiver_lasts_a_year_at_most(repository):
    assert judge(repository, WAIVER | {"expires": "2028-01-16"}).exit_code == 0
    report = judge(repository, WAIVER | {"expires": "2028-01-17"})
    assert report.findings, "it waives nothing"
    assert "more than a year ahead" in report.problems[0].what and "2028-01-16" in report.problems[0].fix


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n", "waivers: []\n"])
def test_a_file_without_a_waiver_is_none(repository, text):
    (repository / "policy.yml").write_text(text)
    report = check(repository, Options(only=("MAIL_CMP_001",), today=TODAY)).report
    assert (report.exit_code, report.problems) == (0, [])


def test_a_file_that_cannot_be_read_is_told_in_every_run(repository):
    (repository / "policy.yml").write_text("waivers: [\n")
    report = check(repository, Options(families=("terraform",), only=("MAIL_TF_001",), today=TODAY)).report
    assert [each.kind for each in report.problems] == ["unreadable"]


def test_a_place_with_spaces_and_signs_can_be_waived(repository):
    file = "docs/my notes #1.sh"
    (repository / file).write_text("#!/bin/sh\nrm -rf $1/old\n")
    reason = WAIVER | {"rule": "SHELLCHECK"}
    for place in (f"{file}#SC2086",):
        report = judge(repository, reason | {"place": place}, only=("SHELLCHECK",))
        assert [problem.what for problem in report.problems] == []
        assert "SC2086" in {found.entity for found in report.waived}


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({"place": ".gitignore:1"}, "remove the waiver; the rule speaks at .gitignore#*.key"),
        ({"rule": "MAIL_REP_0001"}, "did you mean MAIL_REP_001 or"),
        ({"rule": "FOO"}, "--list names them"),
        ({"rule": "MAIL_REP_002", "place": "x"}, "remove the waiver"),
    ],
)
def test_a_waiver_of_nothing_says_what_may_be_meant(repository, change, fix):
    only = ("MAIL_REP_001", "MAIL_REP_002")
    [problem] = problems(judge(repository, WAIVER | change, only=only))
    assert problem[3].startswith(fix)


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("SCHEMA_ENVIRONMENT", {"families": ("compose",), "only": ()}),
        ("CKV_DOCKER_9", {"families": ("compose",), "only": ()}),
        ("CKV_DOCKER_9", {"only": ("MAIL_CMP_001",)}),
        ("MAIL_REP_001", {"families": ("compose",), "only": ()}),
    ],
)
def test_a_waiver_of_what_this_run_leaves_out_is_not_called_unused(repository, rule, options):
    waiver = WAIVER | {"rule": rule}
    (repository / "policy.yml").write_text(json.dumps({"waivers": [waiver]}))
    assert check(repository, Options(today=TODAY, **options)).report.problems == []


def test_a_waiver_of_a_check_of_checkov_is_called_unused_where_it_ran(repository):
    report = judge(repository, WAIVER | {"rule": "CKV_DOCKER_9"}, only=("CKV_DOCKER_9",))
    assert [each[0] for each in problems(report)] == ["waiver-unused"]
