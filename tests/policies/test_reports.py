"""One report in five forms, and the ways to ask for a part of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from conftest import TEMPLATE

from policies.gate import catalogue, explain, formats
from policies.gate.check import FAMILIES, Options, Result, check
from policies.gate.cli import main
from policies.gate.run import Report
from policies.model import Finding, Place, Problem, Severity

# The schema of SARIF 2.1.0 as Microsoft's package carries it.
SARIF_PACKAGE = "@microsoft/jest-sarif@1.0.0-beta.0"
SARIF_FILE = "package/lib/schemas/sarif-2.1.0-rtm.5.json"


@pytest.fixture(scope="session")
def sarif_schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sarif")
    subprocess.run(["npm", "pack", "--silent", SARIF_PACKAGE], cwd=folder, check=True, capture_output=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        return json.loads(archive.extractfile(SARIF_FILE).read())


@pytest.fixture(scope="module")
def repository(generate, tmp_path_factory):
    """A repository with two findings, a problem and a waiver, in git."""
    root = tmp_path_factory.mktemp("reports") / "repository"
    shutil.copytree(generate(), root)
    git(root, "init", "--quiet")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "generated")
    change(root, "docker-compose.yml", "restart: unless-stopped", "restart: 'no'")
    change(root, "config/postfix/main.cf", "mynetworks = 127.0.0.0/8", "mynetworks = 10.0.0.0/8 <b>|")
    return root


def git(root, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def change(root, file, old, new):
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def written(repository, tmp_path_factory):
    """The reports of one run, as files."""
    folder = tmp_path_factory.mktemp("written")
    names = ("sarif", "junit", "markdown")
    arguments = [part for name in names for part in (f"--{name}", str(folder / name))]
    assert main(["check", str(repository), *arguments]) == 1
    return {name: (folder / name).read_text(encoding="utf-8") for name in names}


def test_json_says_all_there_is_to_say(repository, capsys):
    assert main(["check", str(repository), "--json", "--only", "MAIL_CFG_001"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["exit_code"] == 1 and report["ran"] == ["MAIL_CFG_001"]
    first = report["findings"][0]
    assert (first["rule"], first["severity"], first["file"]) == (
        "MAIL_CFG_001",
        "critical",
        "config/postfix/main.cf",
    )
    assert "10.0.0.0/8" in first["is"] and first["should_be"] and first["fix"] and first["line"] > 1


def test_plain_text_shows_place_is_should_be_and_how_to_fix(repository, capsys):
    assert main(["check", str(repository), "--only", "MAIL_CFG_001"]) == 1
    said = capsys.readouterr().out
    for part in (
        "critical config/postfix/main.cf:",
        "is postfix/mynetworks: mynetworks is 10.0.0.0/8",
        "should be mynetworks = 127.0.0.0/8",
        "fix Write",
    ):
        assert part in " ".join(said.split())


def test_json_is_what_its_schema_says(repository, capsys):
    schema = json.loads((TEMPLATE / "schemas/report.schema.json").read_text(encoding="utf-8"))
    (repository / "broken.yml").write_text("a: [\n")
    try:
        assert main(["check", str(repository), "--json", "--only", "MAIL_CFG_001,SYNTAX_NGINX"]) == 2
    finally:
        (repository / "broken.yml").unlink()
    report = json.loads(capsys.readouterr().out)
    jsonschema.validate(report, schema)
    assert report["findings"] and report["problems"]


def test_the_text_ends_with_what_to_type_next(repository, capsys):
    assert main(["check", str(repository), "--only", "MAIL_CFG_001"]) == 1
    assert capsys.readouterr().out.endswith('fix it: make check CHECK="--explain MAIL_CFG_001"\n')


def test_a_clean_summary_is_short():
    notes = [f"checker {number} did not run" for number in range(8)]
    said = formats.markdown(Result(Report(notes=notes, ran=["MAIL_REP_001"]), catalogue.ours()))
    before, _, folded = said.partition("<details><summary>8 notes</summary>")
    assert len(before.splitlines()) == 5 and "clean" in before and folded.count("\n- ") == 8


def report_at(place, **more):
    finding = Finding("MAIL_REP_003", Severity.LOW, place, "x", "y", "z", "commit abc")
    problem = Problem("nothing-to-look-at", place, "x", "y")
    report = Report(findings=[finding], problems=[problem], ran=["MAIL_REP_003", "MAIL_REP_001"], **more)
    return Result(report, catalogue.ours())


def test_what_is_about_the_whole_repository_has_a_file_to_stand_in(sarif_schema):
    log = json.loads(formats.sarif(report_at(Place("."))))
    jsonschema.validate(log, sarif_schema)
    [result] = log["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert (where, result["level"]) == ("README.md", "note")
    assert log["runs"][0]["invocations"][0]["toolExecutionNotifications"][0]["locations"] == []


def test_junit_counts_what_it_holds():
    suite = ElementTree.fromstring(formats.junit(report_at(Place("."), absent=["SHELLCHECK"])))  # noqa: S314
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "1"}
    assert suite.find(".//failure").get("message") == "1 finding"


def test_sarif_s_levels_follow_the_severity():
    found = [Finding("MAIL_REP_001", each, Place("a"), each.word, "y", "z") for each in Severity]
    log = json.loads(formats.sarif(Result(Report(findings=found), catalogue.ours())))
    levels = {each["message"]["text"].split(".")[0]: each["level"] for each in log["runs"][0]["results"]}
    assert levels == {"low": "note", "medium": "warning", "high": "error", "critical": "error"}


def test_sarif_is_valid(written, sarif_schema):
    jsonschema.validate(json.loads(written["sarif"]), sarif_schema)


def test_sarif_has_help_for_every_rule_and_a_place_for_every_result(written):
    run = json.loads(written["sarif"])["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert {result["ruleId"] for result in run["results"]} >= {"MAIL_CFG_001", "MAIL_CMP_006"}
    for result in run["results"]:
        rule = rules[result["ruleIndex"]]
        assert rule["id"] == result["ruleId"]
        assert rule["help"]["text"] and "Fix:" in rule["help"]["markdown"]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] >= 1


def test_sarif_tells_when_the_gate_could_not_do_its_job(repository, tmp_path, sarif_schema):
    (repository / "broken.yml").write_text("a: [\n")
    try:
        assert main(["check", str(repository), "--only", "MAIL_REP_001", "--sarif", str(tmp_path / "x")]) == 2
    finally:
        (repository / "broken.yml").unlink()
    log = json.loads((tmp_path / "x").read_text())
    jsonschema.validate(log, sarif_schema)
    assert log["runs"][0]["invocations"][0]["executionSuccessful"] is False


def test_junit_has_a_case_for_every_rule_that_ran(written):
    suite = ElementTree.fromstring(written["junit"])  # noqa: S314  # our own output
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert suite.get("tests") == str(len(cases)) and len(cases) > 40
    assert cases["MAIL_CFG_001"].find("failure") is not None and cases["MAIL_CMP_001"].find("failure") is None
    assert suite.get("failures") == str(len(list(suite.iter("failure"))))


def test_markdown_is_a_table_that_no_value_can_break(written):
    rows = [line for line in written["markdown"].splitlines() if "| MAIL_CFG_001" in line]
    assert rows and all(len(row.replace("\\|", "").split("|")) == 7 for row in rows)
    assert "<b>" not in written["markdown"]


def test_changed_since_leaves_out_what_was_there_already(repository, tmp_path):
    root = tmp_path / "repository"
    shutil.copytree(repository, root)
    git(root, "commit", "--quiet", "--all", "--message", "two findings")
    change(root, "docker-compose.yml", "internal: true", "internal: false")
    report = check(root, Options(changed_since="HEAD")).report
    assert {found.rule for found in report.findings} == {"MAIL_CMP_016"}
    assert any("were there at HEAD already" in note for note in report.notes)


def test_changed_since_sees_what_the_removal_of_another_file_did(repository, tmp_path):
    root = tmp_path / "repository"
    shutil.copytree(repository, root)
    (root / "config/dovecot/sieve/learn-ham.sieve").unlink()
    report = check(root, Options(changed_since="HEAD", only=("MAIL_CFG_010",))).report
    assert [found.place.file for found in report.findings] == ["config/dovecot/dovecot.conf"]


def test_services_that_share_a_line_are_told_together_for_people_and_apart_for_machines(
    repository, tmp_path, capsys
):
    root = Path(shutil.copytree(repository, tmp_path / "repository"))
    change(root, "docker-compose.yml", "read_only: true", "read_only: false")
    summary = tmp_path / "gate.md"
    assert main(["check", str(root), "--only", "MAIL_CMP_013", "--markdown", str(summary)]) == 1
    said = capsys.readouterr().out
    assert (
        said.count("high docker-compose.yml:") == 1
        and "clamav/read_only, cloudflared/read_only, dovecot/read_only, " in said
    )
    assert summary.read_text(encoding="utf-8").count("| MAIL_CMP_013 |") == 1
    assert main(["check", str(root), "--only", "MAIL_CMP_013", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["findings"]) > 5


def appended(root, file, line):
    with (root / file).open("a", encoding="utf-8") as opened:
        opened.write(line)


def test_changed_since_sees_one_more_of_what_was_there_once(repository, tmp_path):
    root = Path(shutil.copytree(repository, tmp_path / "repository"))
    appended(root, "Makefile", "\nclean:\n\t@docker system prune --volumes\n")
    git(root, "commit", "--quiet", "--all", "--message", "one")
    appended(root, "Makefile", "\nmore:\n\t@docker system prune --volumes\n")
    found = check(root, Options(changed_since="HEAD", only=("MAIL_CFG_019",))).report.findings
    lines = (root / "Makefile").read_text(encoding="utf-8").splitlines()
    assert [str(each.place) for each in found] == [f"Makefile:{len(lines)}"]


def test_changed_since_leaves_out_what_a_linter_said_already(repository, tmp_path):
    root = Path(shutil.copytree(repository, tmp_path / "repository"))
    appended(root, "config/rspamd/start.sh", "rm -rf $1/old\n")
    git(root, "commit", "--quiet", "--all", "--message", "one")
    assert check(root, Options(only=("SHELLCHECK",))).report.findings
    assert check(root, Options(changed_since="HEAD", only=("SHELLCHECK",))).report.findings == []


def test_only_runs_what_it_names(repository):
    report = check(repository, Options(only=("MAIL_CMP_006", "MAIL_CMP_001"))).report
    assert set(report.ran) == {"MAIL_CMP_006", "MAIL_CMP_001"}


def test_list_names_every_rule(capsys):
    assert main(["check", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(rule in said for rule in catalogue.ours())


def test_explain_says_why_how_and_shows_both_examples(capsys):
    assert main(["check", "--explain", "MAIL_CMP_009"]) == 0
    said = capsys.readouterr().out
    for part in ("root on the host", "Fix:", "Bad:", "docker.sock", "Good:"):
        assert part in said


def test_the_page_of_the_rules_is_what_the_rules_say():
    page = (TEMPLATE / "policies/RULES.md").read_text(encoding="utf-8")
    assert page == explain.page(catalogue.ours()), "make policies-docs"


# ---- ids in every spelling


def test_the_beginning_of_ids_stands_for_all_of_them():
    chosen = list(catalogue.chosen(("mail_gha", "SHELLCHECK"), FAMILIES))
    assert len(chosen) > 8 and chosen[-1] == "SHELLCHECK"
    assert all(name.startswith("MAIL_GHA_") for name in chosen[:-1])


def test_checkovs_own_checks_are_explained_too(capsys):
    assert main(["check", "--explain", "ckv_docker_2"]) == 0
    said = capsys.readouterr().out
    assert "### CKV_DOCKER_2" in said and "HEALTHCHECK" in said


def test_the_list_is_there_for_programs(capsys):
    assert main(["check", "--list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["rule"] for row in rows} == set(catalogue.ours())
    assert {"rule", "family", "severity", "name"} == set(rows[0])
