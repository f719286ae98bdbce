"""0 clean, 1 findings, 2 the gate could not do its job: silence is never a pass."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from gate_run import kinds, run

from policies.gate import loading
from policies.gate.cli import main

RULE = """\
from policies.repository.rule import RepositoryRule
from policies.model import Severity


class {name}(RepositoryRule):
    \"\"\"Why this is needed, in a sentence, and what happens if nobody does it: something bad.\"\"\"

    name = "Something"
    severity = Severity.LOW
    fix = "Mend it"
    bad = "bad"
    good = "good"

    def check(self, subject):
        {body}


check = {name}()
"""


@pytest.fixture
def rules(tmp_path):
    """A folder for rules of a test's own."""
    folder = tmp_path / "pack" / "policies" / "rules"
    folder.mkdir(parents=True)
    return folder


def rule(folder: Path, name: str = "MAIL_REP_900", body: str = "return iter(())", file: str = "") -> None:
    path = folder / (file or f"{name.lower()}_test.py")
    path.write_text(RULE.format(name=name, body=body), encoding="utf-8")


def test_a_generated_repository_is_clean(repository, capsys):
    assert main(["check", str(repository), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["findings"], report["problems"], report["waived"]) == ([], [], [])


def test_a_finding_makes_it_one(repository):
    file = repository / ".gitignore"
    file.write_text(file.read_text().replace("*.key\n", ""))
    report = run(repository)
    assert report.exit_code == 1 and [str(found.place) for found in report.findings] == [".gitignore:1"]


# ---- policies that do not do their job


def test_a_policy_that_raises(repository, rules):
    rule(rules, body="raise KeyError('shape')")
    report = run(repository, rules=rules, only=())
    assert report.exit_code == 2 and kinds(report) == {"policy-raised"}
    assert report.problems[0].place.line == 15, "the line in the policy"


def test_a_policy_that_does_not_load(repository, rules):
    (rules / "mail_rep_900_test.py").write_text("def broken(:\n")
    report = run(repository, rules=rules, only=())
    assert report.exit_code == 2 and kinds(report) == {"policy-broken"}


@pytest.mark.parametrize(
    ("name", "file", "complaint"),
    [
        ("MAIL_REP_900", "mail_rep_901_other.py", "its rule is called MAIL_REP_900"),
        ("MAIL_XYZ_900", "", "is no id"),
    ],
)
def test_a_policy_whose_name_is_wrong(repository, rules, name, file, complaint):
    rule(rules, name, file=file)
    report = run(repository, rules=rules, only=())
    assert report.exit_code == 2 and complaint in report.problems[0].what


def test_a_policy_without_a_rule(repository, rules):
    (rules / "mail_rep_900_test.py").write_text("check = None\n")
    assert kinds(run(repository, rules=rules, only=())) == {"policy-broken"}


def test_a_policy_without_a_reason(repository, rules):
    rule(rules)
    file = rules / "mail_rep_900_test.py"
    file.write_text(file.read_text().replace("Why this is needed, in a sentence, and what", "What"))
    report = run(repository, rules=rules, only=())
    assert report.exit_code == 2 and "docstring" in report.problems[0].what


def test_two_policies_with_one_id(repository, rules):
    rule(rules)
    rule(rules, file="mail_rep_900_twice.py")
    report = run(repository, rules=rules, only=())
    assert report.exit_code == 2 and "is taken by" in report.problems[0].what


def test_no_policy_at_all(repository, rules):
    assert kinds(run(repository, rules=rules, only=())) == {"policy-broken"}


def test_a_policy_that_is_gone(repository, rules):
    rule(rules)
    (rules.parent / "RULES.md").write_text("# Rules\n\n### MAIL_REP_900\n\n### MAIL_REP_901\n")
    report = run(repository, rules=rules, only=("MAIL_REP_900",))
    missing = [each for each in report.problems if each.kind == "policy-missing"]
    assert report.exit_code == 2 and [str(each.place) for each in missing] == ["policies/RULES.md:5"]


def test_the_pack_itself_loads_without_a_complaint():
    assert loading.load().problems == []


# ---- files that were not judged


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docker-compose.yml", "services: [\n"),
        ("compose.more.yml", "services:\n  a: {image: x\n"),
        ("deploy/settings.yaml", "a: b: c\n"),
        ("deploy/twice.yml", "a: 1\na: 2\n"),
        (".github/workflows/test.yml", "on: [push\n"),
        (".github/workflows/test.yml", "on: push\njobs: [test]\n"),
        (".github/workflows/test.yml", "on: push\njobs: {test: {steps: make}}\n"),
        ("terraform/s3-backup/more.tf", 'resource "x" {\n'),
        ("terraform/s3-backup/more.tf.json", "{"),
        ("terraform/s3-backup/more.tofu", "resource {{\n"),
        ("terraform/s3-backup/more.s3.tfbackend", "encrypt =\n"),
        ("terraform/s3-backup/tests/more.tftest.hcl", "run {\n"),
        ("config/rspamd/local.d/more.conf", "a {\n"),
        ("config/nginx/more.conf", "server {\n"),
        ("package.json", "{]"),
        ("pyproject.toml", "a =\n"),
        ("empty/Dockerfile", "# nothing\n"),
    ],
)
def test_a_file_that_does_not_parse(repository, file, text):
    path = repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    report = run(repository, only=())
    assert report.exit_code == 2
    assert file in {problem.place.file for problem in report.problems if problem.kind == "unreadable"}


@pytest.mark.parametrize(
    ("file", "text", "fix"),
    [
        ("config/new/thing.conf", "a = b\n", "policies/data/configuration.yml"),
        ("terraform/stack/main.tfstack.hcl", "", "write it as Terraform modules"),
        ("terraform/live/terragrunt.hcl", "", "write it as Terraform modules"),
        (
            "terraform/s3-backup/more.tf",
            'module "x" {\n  source = "../../../x"\n}\n',
            "put it here, or take one that is pinned by commit",
        ),
        ("compose.far.yml", "include:\n  - https://example.com/compose.yml\n", "a file of this repository"),
        ("compose.far.yml", "include:\n  - missing.yml\n", "name one that exists"),
        ("compose.far.yml", "services:\n  a: {extends: {file: missing.yml, service: a}}\n", "exists"),
    ],
)
def test_a_file_that_was_not_looked_at(repository, file, text, fix):
    path = repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    report = run(repository, only=())
    assert report.exit_code == 2
    assert any(problem.kind == "not-looked-at" and fix in problem.fix for problem in report.problems)


def test_a_link_that_leads_out_of_the_repository(repository, tmp_path):
    (tmp_path / "outside.yml").write_text("services: {}\n")
    (repository / "compose.out.yml").symlink_to(tmp_path / "outside.yml")
    assert "not-looked-at" in kinds(run(repository))


@pytest.mark.parametrize("folder", ["terraform", "config", "postfix", ".github"])
def test_a_kind_of_file_that_is_gone(repository, folder):
    shutil.rmtree(repository / folder)
    if folder == "postfix":
        for other in ("usermgmt", "mailserver-api"):
            shutil.rmtree(repository / other)
    assert "nothing-to-look-at" in kinds(run(repository))


def test_the_wrong_folder(tmp_path):
    report = run(tmp_path)
    assert report.exit_code == 2 and kinds(report) == {"nothing-to-look-at"}


# ---- misuse


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "MAIL_CMP_999"], "there is no such rule; did you mean"),
        (["--only", "CKV_FOO"], "--only CKV_FOO: there is no such rule"),
        (["--only", "MAIL_CMP_0"], "did you mean MAIL_CMP_001? `--list --only MAIL_CMP` names all"),
        (["--only", "CKV_DOCKER_2"], "the gate leaves it out (policies/data/checkov.yml): A health check"),
        (["--only", ","], "name at least one"),
        (["--only", "MAIL_CMP_001", "--families", "terraform"], "judges compose, which --families terraform"),
        (["--only", "MAIL_TF,SHELLCHECK", "--families", "terraform"], "SHELLCHECK: it judges repository"),
        (
            ["--only", "CKV_DOCKER_9", "--families", "actions"],
            "it judges dockerfile, which --families actions",
        ),
        (["--only", "SCHEMA_ENVIRONMENT", "--families", "compose"], "it judges configuration"),
        (["--list", "--only", "MAIL_CMP", "--families", "actions"], "no rule is named by both"),
        (["--list", "--only", "MAIL_CMP_999"], "there is no such rule; did you mean"),
        (["--explain", "MAIL_CMP"], "`--list --only MAIL_CMP` names all that begin so"),
        (["--changed-since", ""], "needs a git reference, for instance origin/main"),
        (["--image", "ngnix=x"], "did you mean nginx?"),
        (["--image", "=x"], "no checker runs in an image of nothing"),
        (["--image", "nginx="], "write an image such as nginx:1.2.3"),
        (["--image", "nginx=a", "--image", "nginx=b"], "names nginx twice"),
        (["--explain", "MAIL_CPM_001"], "did you mean MAIL_CMP_001"),
        (["--explain", "CKV_FOO"], "--explain CKV_FOO: there is no such rule"),
        (["--changed-since", "no-such-reference"], "no git repository"),
        (["--image", "nginx"], "SERVICE=IMAGE"),
        (["--families", "compos"], "did you mean compose?"),
        (["--sarif", "missing/gate.sarif"], "there is no folder missing"),
        (["--junit", "."], "name a file in it"),
        (["--sarif", "gate", "--junit", "gate"], "two reports would be one file"),
    ],
)
def test_misuse_is_two_and_says_what_to_do(repository, tmp_path, monkeypatch, arguments, said, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    try:
        code = main(["check", str(repository), *arguments])
    except SystemExit as error:
        code = error.code
    assert code == 2 and said in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before, "nothing is half written"


def test_the_wrong_root_is_misuse(tmp_path, capsys):
    assert main(["check", str(tmp_path / "missing")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_checker_that_is_not_at_hand_is_told(repository, monkeypatch, capsys):
    monkeypatch.setattr("policies.gate.tools.orchestration.program", lambda name: None)
    some = ["check", str(repository), "--only", "SYNTAX_COMPOSE,MAIL_CMP_001"]
    assert main(some) == 0
    assert "docker compose config did not run" in capsys.readouterr().out
    assert main([*some, "--require-tools"]) == 2
    assert "tool-missing" in capsys.readouterr().out


def test_a_gate_that_fails_itself_says_so(repository, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("no idea")

    monkeypatch.setattr("policies.gate.coverage.links", broken)
    report = run(repository)
    assert report.exit_code == 2 and "coverage: RuntimeError: no idea" in report.problems[0].what
