"""Files that git hides, or that a rule cannot read, stop the gate."""

from __future__ import annotations

import pytest
from gate_run import git, kinds, run


def unseen(root) -> list[str]:
    """Return what the gate says it did not look at."""
    return [str(each.place) for each in run(root).problems if each.kind == "not-looked-at"]


def test_nothing_is_hidden_in_a_generated_repository(tracked):
    assert unseen(tracked) == []


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
        "platform/mailctl/__pycache__/cli.cpython-313.pyc",
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


def test_a_file_that_no_rule_can_read(repository):
    (repository / "notes.txt").write_bytes(b"a line\n\n" * 1_300_000)
    assert "not-looked-at" in kinds(run(repository))
