"""What a run is about: rules that it names, kinds of files, and what changed since a reference."""

from __future__ import annotations

import json
import subprocess

import pytest
from gate_run import git

from policies.gate import catalogue
from policies.gate.check import FAMILIES, Options, check
from policies.gate.cli import main
from policies.gate.tools import TOOLS


def test_nothing_that_did_not_run_looks_clean(repository, monkeypatch, capsys):
    monkeypatch.setattr("policies.gate.tools.orchestration.program", lambda name: None)
    assert main(["check", str(repository), "--only", "SYNTAX_COMPOSE"]) == 2
    said = capsys.readouterr().out
    assert "nothing-ran" in said and "docker compose config did not run" in said and "clean" not in said


def test_a_reference_that_git_does_not_know(tracked, capsys):
    assert main(["check", str(tracked), "--changed-since=--output=x"]) == 2
    said = capsys.readouterr().err
    assert "git knows no such commit, branch or tag here: git fetch --all" in said
    assert "(in a workflow: fetch-depth: 0)" in said


def test_a_folder_that_is_no_git_repository(repository, capsys):
    assert main(["check", str(repository), "--changed-since", "HEAD"]) == 2
    assert "is not the top of a git repository: leave the option out" in capsys.readouterr().err


def test_the_list_names_what_only_and_families_name(capsys):
    assert main(["check", "--list", "--json", "--only", "MAIL_TF_001,SHELLCHECK,ckv_docker_9"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["rule"] for row in rows} == {"MAIL_TF_001", "SHELLCHECK", "CKV_DOCKER_9"}
    assert main(["check", "--list", "--families", "terraform"]) == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines()}
    others = {"SYNTAX_TERRAFORM", "SCHEMA_POLICY"}
    assert others < names and all(name.startswith("MAIL_TF_") for name in names - others)


def test_a_rule_is_explained_to_programs_as_well(capsys):
    assert main(["check", "--explain", "mail_cmp_009", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["id"], told["severity"], told["judges"]) == ("MAIL_CMP_009", "critical", "compose")
    assert told["why"] and told["fix"] and told["bad"] and told["good"]


def test_every_checker_judges_a_kind_that_can_be_named():
    assert {tool.judges for tool in TOOLS} <= set(FAMILIES)
    assert {info.judges for info in catalogue.ours().values()} == {"", *FAMILIES}
    assert {info.judges for info in catalogue.checkovs().values()} == {"dockerfile", "workflows", "terraform"}


@pytest.mark.parametrize("family", FAMILIES)
def test_what_ran_is_of_the_kinds_that_were_asked_for(repository, family):
    ran = check(repository, Options(families=(family,))).report.ran
    assert {catalogue.ours()[name].judges for name in ran} == {"", family}


def test_a_check_of_checkov_that_ran_alone_is_counted(repository, capsys):
    assert main(["check", str(repository), "--only", "CKV_DOCKER_9"]) == 0
    assert "1 rule or checker ran" in capsys.readouterr().out


def test_a_check_of_checkov_says_what_to_change(repository, capsys):
    dockerfile = repository / "platform/postfix/Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "RUN apt list\n")
    assert main(["check", str(repository), "--only", "CKV_DOCKER_9"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "is Dockerfile.RUN fails a check of checkov should be APT isn't used" in said
    assert "fix Change Dockerfile.RUN so that checkov no longer asks for it: APT isn't used" in said


LEAK = "password = hunter2hunter2hunter2\n"


def committed(root, file, text):
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text, encoding="utf-8")
    git(root, "add", "--force", file)
    git(root, "commit", "--quiet", "--message", file)


def since(root, reference):
    options = Options(only=("MAIL_REP_003",), changed_since=reference)
    return [each.place.file for each in check(root, options).report.findings]


def test_a_secret_in_the_history_before_the_reference_is_not_new_and_one_behind_it_is(tracked):
    committed(tracked, "config/old.conf", LEAK)
    committed(tracked, "config/old.conf", "\n")
    git(tracked, "tag", "before")
    assert since(tracked, "HEAD~2") == ["config/old.conf"]
    assert since(tracked, "before") == []
    committed(tracked, "config/new.conf", LEAK)
    committed(tracked, "config/new.conf", "\n")
    assert since(tracked, "before") == ["config/new.conf"]


def test_a_finding_in_the_history_names_the_commit(tracked, capsys):
    committed(tracked, "config/old one.conf", LEAK)
    commit = subprocess.run(
        ["git", "-C", tracked, "rev-parse", "HEAD"], capture_output=True, text=True
    ).stdout
    committed(tracked, "config/old one.conf", "\n")
    assert main(["check", str(tracked), "--only", "MAIL_REP_003"]) != 0
    said = capsys.readouterr().out
    assert "critical config/old one.conf:1 MAIL_REP_003" in said
    assert f"in the history (commit {commit[:12]})" in said
