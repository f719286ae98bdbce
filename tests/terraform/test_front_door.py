"""`make terraform-test` of the generated repository, as an operator or its pull request runs it."""

import shutil
import subprocess
from pathlib import Path

import pytest
from equipment.cloud import Cloud
from equipment.installation import Installation
from equipment.template import front_door, render


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The Makefile and the modules of a generated repository."""
    render(tmp_path / "terraform")
    front_door(tmp_path)
    return tmp_path


def run(repository: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["make", "--no-print-directory", "terraform-test"]
    return subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )


def test_it_passes_for_both_modules(
    repository: Path, installation: Installation, session_cloud: Cloud
) -> None:
    done = run(repository, installation.environment(session_cloud.endpoint))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert done.stdout.count("Success! The configuration is valid.") == 2
    assert "0 failed" in done.stdout


def test_it_fails_when_a_module_is_weakened(
    repository: Path, installation: Installation, session_cloud: Cloud
) -> None:
    main = repository / "terraform" / "s3-backup" / "main.tf"
    assert '"COMPLIANCE"' in main.read_text()
    main.write_text(main.read_text().replace('"COMPLIANCE"', '"GOVERNANCE"'))
    done = run(repository, installation.environment(session_cloud.endpoint))
    assert done.returncode != 0
    assert "the lock must be in COMPLIANCE mode" in done.stdout + done.stderr


def test_without_terraform_it_says_so_and_does_not_pass(repository: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("make", "bash", "sh"):
        (tools / tool).symlink_to(shutil.which(tool) or "")
    done = run(repository, {"PATH": str(tools)})
    assert done.returncode != 0
    assert "not tested" in done.stderr
