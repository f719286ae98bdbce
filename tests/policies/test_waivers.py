"""Waivers: one file, each reported, and none that is over, unknown or of no use."""

from __future__ import annotations

import datetime
import json
import shutil

import pytest

from policies.gate.check import Options, check
from policies.gate.cli import main

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
    (root / "policies-waivers.yml").write_text(json.dumps({"waivers": list(waivers)}))
    return check(root, Options(only=only, today=TODAY)).report


def test_a_waiver_turns_the_finding_into_a_report_of_it(repository, capsys):
    report = judge(repository, WAIVER)
    assert (report.exit_code, report.findings) == (0, [])
    assert report.waived[0].waived == f"{WAIVER['reason']} (admin@example.com, until 2027-01-31)"


def test_a_waived_finding_is_shown_in_every_run(repository, capsys):
    (repository / "policies-waivers.yml").write_text(
        json.dumps({"waivers": [WAIVER | {"expires": "2999-01-01"}]})
    )
    assert main(["check", str(repository), "--only", "MAIL_REP_001"]) == 0
    said = capsys.readouterr().out
    assert "waived .gitignore:1 MAIL_REP_001" in said and WAIVER["reason"] in said


@pytest.mark.parametrize(
    ("change", "kind", "code"),
    [
        ({"expires": "2027-01-14"}, "waiver-expired", 2),
        ({"rule": "MAIL_REP_999"}, "waiver-unknown", 2),
        ({"place": ".gitignore#*.pem"}, "waiver-unused", 2),
        ({"place": "docker-compose.yml"}, "waiver-unused", 2),
        ({"reason": "because"}, "waiver-invalid", 2),
        ({"expires": "soon"}, "waiver-invalid", 2),
        ({"expires": "2027-02-30"}, "waiver-invalid", 2),
        ({"colour": "red"}, "waiver-invalid", 2),
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
        "waivers:\n  - rule: MAIL_REP_001\n    place: .gitignore\n    reason: Keys of the test are public.\n"
    )
    (repository / "policies-waivers.yml").write_text(text + "    owner: admin\n    expires: 2027-01-31\n")
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
