"""Comments and settings that switch a check off where nobody sees it stop the gate."""

from __future__ import annotations

import pytest
from gate_run import kinds, run


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
