"""0 clean, 1 findings, 2 the gate could not do its job, whatever kept it; and what a report shows first."""

from __future__ import annotations

import pytest

from policies.gate.cli import main


def code(root, *words):
    return main(["check", str(root), *words])


def test_clean_is_0_and_a_finding_is_1(repository):
    assert code(repository, "--only", "MAIL_REP") == 0
    (repository / ".gitignore").write_text("")
    assert code(repository, "--only", "MAIL_REP") == 1


PROBLEMS = {
    "a file that does not parse": ("docker-compose.yml", "services: [\n", "MAIL_CMP", "unreadable"),
    "a file of a kind nobody knows": ("config/other/x.bin", "?\n", "MAIL_CFG", "not-looked-at"),
    "a decision that means nothing": ("policy.yml", "limits: {}\n", "MAIL_REP_001", "policy-invalid"),
    "a waiver of nothing": (
        "policy.yml",
        "waivers:\n  - rule: MAIL_REP_001\n    place: .gitignore#*.key\n"
        "    reason: nobody remembers why it is here\n"
        "    owner: a@example.com\n    expires: 2026-12-31\n",
        "MAIL_REP_001",
        "waiver-",
    ),
    "a check that a comment switches off": (
        "platform/usermgmt/Dockerfile",
        "# checkov:skip=CKV_DOCKER_9:because\nFROM x@sha256:0\nRUN apt upgrade\n",
        "CKV_DOCKER_9",
        "inline-skip",
    ),
}


@pytest.mark.parametrize(("file", "text", "only", "kind"), PROBLEMS.values(), ids=PROBLEMS)
def test_what_keeps_the_gate_from_its_job_is_2_and_comes_first(repository, capsys, file, text, only, kind):
    (repository / file).parent.mkdir(exist_ok=True)
    (repository / file).write_text(text)
    assert code(repository, "--only", only) == 2
    assert capsys.readouterr().out.startswith(kind)


@pytest.mark.parametrize(
    "words", ["--only MAIL_NOTHING", "--changed-since=", "--sarif /nowhere/x", "--explain MAIL_NOTHING"]
)
def test_a_run_that_cannot_begin_is_2(repository, words):
    assert code(repository, *words.split()) == 2


def test_a_folder_that_is_none_is_2(tmp_path):
    assert code(tmp_path / "missing") == 2


def test_one_typing_mistake_is_told_once_and_nothing_that_follows_from_it(repository, capsys):
    file = repository / "docker-compose.yml"
    file.write_text(file.read_text() + "\n  - no: [yaml\n")
    assert code(repository, "--only", "MAIL_CMP,MAIL_CFG,SCHEMA_COMPOSE") == 2
    said = capsys.readouterr().out
    assert said.count("docker-compose.yml:") == 1 and "MAIL_C" not in said


def test_twenty_findings_are_shown_and_the_rest_is_counted_by_severity(repository, capsys):
    for number in range(25):
        (repository / f"note{number:02}.txt").write_text("AKIAQZ7MNB3XW5T2KLPD\n")
    assert code(repository, "--only", "MAIL_REP_003") == 1
    said = capsys.readouterr().out
    assert said.count("critical note") == 20 and "5 more: 5 critical" in said
    assert code(repository, "--only", "MAIL_REP_003", "--all") == 1
    assert capsys.readouterr().out.count("critical note") == 25
