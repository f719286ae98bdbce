"""The gate's own use of Terraform: `fmt -check` and `validate` with the real core on PATH."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from equipment.installation import Installation
from equipment.template import ROOT, render

#: The gate has an environment of its own; `make terraform-test` names it.
PYTHON = os.environ.get("GATE_PYTHON") or str(ROOT / ".venv-policies" / "bin" / "python")
MODULES = ("s3-backup", "state-bootstrap")
NOWHERE = "http://127.0.0.1:9"
CHECK = ("check", ".", "--only", "SYNTAX_TERRAFORM", "--families", "terraform", "--json")

Gate = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def initialised(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules of a generated repository, as they are after `terraform init -backend=false`."""
    folder = tmp_path_factory.mktemp("initialised")
    render(folder / "terraform")
    for module in MODULES:
        init(folder / "terraform" / module, installation)
    return folder


@pytest.fixture
def repository(initialised: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(initialised, tmp_path / "repository", symlinks=True))


def init(module: Path, installation: Installation) -> None:
    command = [str(installation.command), "init", "-backend=false", "-input=false"]
    subprocess.run(
        command, cwd=module, env=installation.environment(NOWHERE), check=True, capture_output=True
    )


@pytest.fixture
def gate(repository: Path, installation: Installation) -> Gate:
    """Runs the gate's Terraform checks; returns its exit code and its report."""

    def run(*arguments: str, **environment: str) -> tuple[int, dict[str, Any]]:
        env = {**installation.environment(NOWHERE), "PYTHONPATH": str(ROOT), **environment}
        command = [PYTHON, "-m", "policies", *CHECK, *arguments]
        done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


@pytest.fixture
def answering(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Makes a `terraform` that says what a test wants, as settings for `gate`."""

    def make(script: str) -> dict[str, str]:
        folder = tmp_path / "bin"
        folder.mkdir()
        command = folder / "terraform"
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
        return {"PATH": f"{folder}:{os.defpath}"}

    return make


def places(report: dict[str, Any]) -> list[str]:
    return [f"{found['file']}:{found['line']}" for found in report["findings"]]


def test_the_modules_of_a_generated_repository_are_clean(gate: Gate) -> None:
    code, report = gate("--require-tools")
    assert (code, report["findings"], report["problems"], report["notes"]) == (0, [], [], [])


@pytest.mark.parametrize("file", ["locals.tf", "tests/variables.tftest.hcl"])
def test_a_badly_formatted_file_is_found(gate: Gate, repository: Path, file: str) -> None:
    path = repository / "terraform" / "s3-backup" / file
    path.write_text(path.read_text() + "\n\n#   x\n".replace("#", "  #"))
    code, report = gate()
    assert code == 1
    assert places(report) == [f"terraform/s3-backup/{file}:1"]
    assert "fmt" in report["findings"][0]["is"]


def test_a_name_that_nobody_declared_is_found_with_its_line(gate: Gate, repository: Path) -> None:
    path = repository / "terraform" / "s3-backup" / "outputs.tf"
    line = path.read_text().count("\n") + 3
    path.write_text(path.read_text() + '\noutput "more" {\n  value = aws_s3_bucket.another.id\n}\n')
    code, report = gate()
    assert code == 1
    assert places(report) == [f"terraform/s3-backup/outputs.tf:{line}"]
    assert "undeclared" in report["findings"][0]["is"]


def test_a_mistake_in_a_called_module_is_found_in_its_file(
    gate: Gate, repository: Path, installation: Installation
) -> None:
    module = repository / "terraform" / "s3-backup"
    (repository / "terraform" / "more").mkdir()
    (repository / "terraform" / "more" / "main.tf").write_text('output "x" {\n  value = var.nobody\n}\n')
    (module / "more.tf").write_text('module "more" {\n  source = "../more"\n}\n')
    shutil.rmtree(module / ".terraform")
    init(module, installation)
    code, report = gate()
    assert code == 1
    assert places(report) == ["terraform/more/main.tf:2"]


def test_every_module_that_waits_for_init_is_named_in_a_note(gate: Gate, repository: Path) -> None:
    for module in MODULES:
        shutil.rmtree(repository / "terraform" / module / ".terraform")
    code, report = gate()
    assert code == 0
    assert len(report["notes"]) == 1
    assert all(f"terraform/{module}" in report["notes"][0] for module in MODULES)


def test_what_is_not_initialised_is_a_problem_where_tools_are_required(gate: Gate, repository: Path) -> None:
    shutil.rmtree(repository / "terraform" / "state-bootstrap" / ".terraform")
    code, report = gate("--require-tools")
    assert code == 2
    assert ["terraform/state-bootstrap" in problem["is"] for problem in report["problems"]] == [True]


def test_a_module_whose_init_was_broken_off_waits_for_it(gate: Gate, repository: Path) -> None:
    shutil.rmtree(repository / "terraform" / "s3-backup" / ".terraform" / "providers")
    code, report = gate()
    assert (code, report["findings"]) == (0, [])
    assert "terraform/s3-backup" in report["notes"][0]


def test_a_data_directory_elsewhere_is_found(gate: Gate, repository: Path) -> None:
    for module in MODULES:
        folder = repository / "terraform" / module
        (folder / ".terraform").rename(folder / ".terraform-ci")
    code, report = gate("--require-tools", TF_DATA_DIR=".terraform-ci")
    assert (code, report["problems"], report["notes"]) == (0, [], [])


def test_a_file_that_cannot_be_read_is_a_problem(gate: Gate, repository: Path) -> None:
    (repository / "terraform" / "s3-backup" / "more.tf").write_text('resource "x" {\n')
    code, report = gate()
    assert code == 2 and report["problems"]


def test_a_warning_of_validate_fails_nothing(gate: Gate, answering: Callable[[str], dict[str, str]]) -> None:
    warning = {"severity": "warning", "summary": "Deprecated", "detail": "", "range": None}
    answer = {"valid": True, "diagnostics": [warning]}
    script = f"test \"$1\" = fmt || echo '{json.dumps(answer)}'"
    code, report = gate(**answering(script))
    assert (code, report["findings"], report["problems"]) == (0, [], [])


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "exit 0",
        "echo nonsense",
        'test "$1" = fmt && exit 2; echo \'{"valid": true, "diagnostics": []}\'',
        'test "$1" = fmt && exit 3; echo \'{"valid": true, "diagnostics": []}\'',
        "test \"$1\" = fmt || echo '[]'",
        "test \"$1\" = fmt || echo '{}'",
        'test "$1" = fmt || echo \'{"valid": false, "diagnostics": []}\'',
        'test "$1" = fmt || { echo \'{"valid": true, "diagnostics": []}\'; exit 1; }',
        'test "$1" = fmt || kill -9 $$',
    ],
)
def test_a_broken_answer_of_terraform_is_a_problem(
    gate: Gate, answering: Callable[[str], dict[str, str]], script: str
) -> None:
    code, report = gate(**answering(script))
    assert code == 2
    assert {problem["kind"] for problem in report["problems"]} == {"tool-failed"}


def test_without_terraform_nothing_ran_and_a_note_says_why(gate: Gate) -> None:
    code, report = gate(PATH=os.defpath)
    assert (code, [each["kind"] for each in report["problems"]]) == (2, ["nothing-ran"])
    assert "neither terraform nor tofu is installed" in report["notes"][0]
