"""0 clean, 1 findings, 2 the gate could not do its job: silence is never a pass."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from policies.gate import loading
from policies.gate.check import Options, check
from policies.gate.cli import main

RULE = """\
from policies.families import RepositoryRule
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
def repository(generate, tmp_path):
    """A generated repository that a test may change."""
    copy = tmp_path / "repository"
    shutil.copytree(generate(), copy)
    return copy


@pytest.fixture
def rules(tmp_path):
    """A folder for rules of a test's own."""
    folder = tmp_path / "pack" / "policies" / "rules"
    folder.mkdir(parents=True)
    return folder


def rule(folder: Path, name: str = "MAIL_REP_900", body: str = "return iter(())", file: str = "") -> None:
    path = folder / (file or f"{name.lower()}_test.py")
    path.write_text(RULE.format(name=name, body=body), encoding="utf-8")


def run(root: Path, **options):
    """Run the gate without the syntax checkers, which need programs of their own."""
    options.setdefault("only", ("MAIL_REP_001",))
    return check(root, Options(**options)).report


def kinds(report) -> set[str]:
    return {problem.kind for problem in report.problems}


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


@pytest.mark.parametrize(
    ("file", "comment"),
    [
        ("docker-compose.yml", "# checkov:skip=MAIL_CMP_001: because\n"),
        ("docker-compose.yml", "# bridgecrew:skip=MAIL_CMP_001\n"),
        ("terraform/s3-backup/main.tf", "# CHECKOV:SKIP=CKV_AWS_18:no\n"),
        (".github/workflows/a.yml", "on: push\njobs: {}\n# zizmor: ignore[unpinned-uses]\n"),
        ("usermgmt/Dockerfile", "# checkov:skip=CKV_DOCKER_3\n"),
        ("usermgmt/Dockerfile", "# hadolint global ignore=DL3008\n"),
        ("usermgmt/Dockerfile", "# check=skip=all\n"),
        ("Makefile", "# Checkov : SKIP=CKV_1\n"),
        ("scripts/tool", "#!/bin/sh\n# shellcheck shell=sh disable=all\n"),
        ("config/rspamd/start.sh", "#shellcheck disable=SC2086\n"),
        ("config/rspamd/start.sh", "# shellcheck source=/dev/null\n"),
        ("terraform/s3-backup/main.tf", "#tfsec:ignore:aws-s3-enable-versioning\n"),
        ("terraform/s3-backup/main.tf", "# trivy:ignore:AVD-AWS-0089\n"),
        ("terraform/s3-backup/main.tf", "# tflint-ignore: all\n"),
        ("terraform/s3-backup/main.tf", "# kics-scan disable=all\n"),
        ("terraform/tests/more.tf", "# checkov:skip=CKV_AWS_18:no\n"),
        (".env.example", "# gitleaks:allow\n"),
        ("docker-compose.yml", "# pragma: allowlist secret\n"),
        ("usermgmt/src/usermgmt/__init__.py", "# nosec B105\n"),
    ],
)
def test_a_comment_that_switches_a_check_off(repository, file, comment):
    path = repository / file
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as opened:
        opened.write(comment)
    report = run(repository)
    assert report.exit_code == 2 and "inline-skip" in kinds(report)
    line = (repository / file).read_text().count("\n")
    assert [str(each.place) for each in report.problems if each.kind == "inline-skip"] == [f"{file}:{line}"]


@pytest.mark.parametrize(
    "file",
    [
        ".checkov.yml",
        ".checkov.baseline",
        "zizmor.yml",
        ".github/ZIZMOR.yaml",
        ".gitleaks.toml",
        ".gitleaksignore",
        "usermgmt/.hadolint.yaml",
        ".trivyignore",
        "terraform/.tflint.hcl",
        ".shellcheckrc",
        "postfix/.shellcheckrc",
    ],
)
def test_a_settings_file_by_which_a_checker_looks_away(repository, file):
    (repository / file).write_text("a = 1\n" if file.endswith(("toml", "hcl")) else "a: 1\n")
    found = [each for each in run(repository).problems if each.kind == "inline-skip"]
    assert [str(each.place) for each in found] == [f"{file}:1"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("skip-check:\n  - CKV_AWS_18\n  - CKV_AWS_21\n", 3),
        ("skip-check: CKV_AWS_18,CKV_AWS_21\n", 1),
        ("soft-fail: true\n", 1),
        ("check: [CKV_AWS_1]\n", 1),
    ],
)
def test_an_allowed_settings_file_leaves_out_no_more_than_was_decided(repository, text, line):
    (repository / "terraform/checkov.yaml").write_text(text)
    found = [each for each in run(repository).problems if each.kind == "inline-skip"]
    assert {str(each.place) for each in found} == {f"terraform/checkov.yaml:{line}"}


def test_words_in_documents_switch_nothing_off(repository):
    with (repository / "README.md").open("a") as opened:
        opened.write("\nWrite no `# checkov:skip=X` and no `# shellcheck disable=SC1`.\n")
    assert run(repository).exit_code == 0


# ---- files that git hides


def git(root, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def tracked(repository):
    """A generated repository in git."""
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "generated")
    return repository


def unseen(root) -> list[str]:
    """Return what the gate says it did not look at."""
    return [str(each.place) for each in run(root).problems if each.kind == "not-looked-at"]


def test_nothing_is_hidden_in_a_generated_repository(tracked):
    assert unseen(tracked) == []


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_a_file_at_which_git_does_not_look(tracked, flag):
    git(tracked, "update-index", flag, "README.md")
    assert unseen(tracked) == ["README.md:1"]


@pytest.mark.parametrize("added", [False, True])
def test_a_repository_inside_the_repository(tracked, added):
    inner = tracked / "vendor"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / "compose.yml").write_text("services: {}\n")
    git(inner, "add", "--all")
    git(inner, "commit", "--quiet", "--message", "inner")
    if added:
        git(tracked, "add", "vendor")
    assert unseen(tracked) == ["vendor:1"]


@pytest.mark.parametrize(
    "file", ["compose.override.yml", "config/rspamd/local.d/more.conf", "terraform/x.tf"]
)
def test_a_file_that_git_ignores_and_the_deployment_reads(tracked, file):
    (tracked / ".git" / "info" / "exclude").write_text(file + "\n")
    (tracked / file).write_text("\n")
    assert unseen(tracked) == [f"{file}:1"]


@pytest.mark.parametrize(
    "file",
    [
        ".venv-gate/lib/python3.13/site-packages/checkov/dockerfile/Dockerfile",
        ".venv/lib/python3.13/site-packages/some/compose.yml",
        "terraform/s3-backup/.terraform/modules/other/main.tf",
        "mailctl/__pycache__/cli.cpython-313.pyc",
        ".local/compose.yml",
        "reports/gate.sarif",
    ],
)
def test_what_tools_leave_behind_hides_nothing(tracked, file):
    (tracked / file).parent.mkdir(parents=True, exist_ok=True)
    (tracked / file).write_text("\n")
    assert unseen(tracked) == []


def test_a_file_in_a_folder_that_git_ignores_as_a_whole(tracked):
    (tracked / ".git" / "info" / "exclude").write_text("terraform/extra/\n")
    (tracked / "terraform" / "extra").mkdir()
    (tracked / "terraform" / "extra" / "main.tf").write_text("\n")
    assert unseen(tracked) == ["terraform/extra/main.tf:1"]


def test_secrets_of_the_host_may_be_ignored(tracked):
    (tracked / "config" / "nginx" / "tls.key").write_text("\n")
    assert unseen(tracked) == []


@pytest.mark.parametrize("target", ["/etc", "missing.conf", ".git/config"])
def test_a_link_to_what_is_not_in_git(tracked, target):
    (tracked / "docs" / "link").symlink_to(target if target.startswith("/") else f"../{target}")
    git(tracked, "add", "--all")
    assert unseen(tracked) == ["docs/link:1"]


def test_a_link_to_a_folder_of_the_repository_is_fine(tracked):
    (tracked / "handbook").symlink_to("docs")
    git(tracked, "add", "--all")
    assert unseen(tracked) == []


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("readme.MD", b"\n"),
        ("notes.txt", "wide".encode("utf-16")),
        ("a\u202eb.txt", b"\n"),
        ("big", b"a line\n\n" * 1_300_000),
    ],
)
def test_a_file_that_not_every_machine_or_rule_can_read(repository, file, content):
    (repository / file).write_bytes(content)
    assert "not-looked-at" in kinds(run(repository))


# ---- misuse


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "MAIL_CMP_999"], "there is no rule MAIL_CMP_999; did you mean"),
        (["--only", "CKV_FOO"], "there is no rule CKV_FOO"),
        (["--only", ","], "name at least one"),
        (["--explain", "MAIL_CPM_001"], "did you mean MAIL_CMP_001"),
        (["--explain", "CKV_FOO"], "there is no rule CKV_FOO"),
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


def test_a_reference_that_git_does_not_know(tracked, capsys):
    assert main(["check", str(tracked), "--changed-since=--output=x"]) == 2
    assert "git knows no such commit" in capsys.readouterr().err


def test_a_checker_that_is_not_at_hand_is_told(repository, monkeypatch, capsys):
    monkeypatch.setattr("policies.gate.tools.orchestration.program", lambda name: None)
    assert main(["check", str(repository), "--only", "SYNTAX_COMPOSE"]) == 0
    assert "docker compose config did not run" in capsys.readouterr().out
    assert main(["check", str(repository), "--only", "SYNTAX_COMPOSE", "--require-tools"]) == 2
    assert "tool-missing" in capsys.readouterr().out


def test_a_gate_that_fails_itself_says_so(repository, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("no idea")

    monkeypatch.setattr("policies.gate.coverage.links", broken)
    report = run(repository)
    assert report.exit_code == 2 and "coverage: RuntimeError: no idea" in report.problems[0].what
