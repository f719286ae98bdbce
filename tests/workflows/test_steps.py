"""Every `run` step of the generated workflow, in the order of its job, in a fresh clone as on GitHub."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from tools import engine, standins

TEMPLATE = Path(__file__).resolve().parents[2]
FILE = Path(".github/workflows/pull-request.yml")
JOBS = yaml.safe_load((TEMPLATE / "{{cookiecutter.project_slug}}" / FILE).read_text(encoding="utf-8"))["jobs"]
#: What stands in for GitHub's expressions.
VALUES = {"${{ github.token }}": "a-token", "${{ github.event.pull_request.number }}": "7"}
#: Answers that there is no comment yet, and notes what it was asked.
GH = '#!/bin/sh\necho "$GH_TOKEN $*" >>"$GH_LOG"\n'


def git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path) -> Path:
    """A generated repository as somebody would have pushed it."""
    made = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path / "made")))
    git(made, "init", "--quiet", "--initial-branch", "main")
    git(made, "add", "--all")
    git(made, "commit", "--quiet", "--message", "first")
    git(tmp_path, "clone", "--quiet", str(made), "clone")
    return tmp_path / "clone"


@pytest.fixture
def environment(clone, tmp_path) -> dict[str, str]:
    """What a runner has: a gh on its path, and a Docker that can reach the base images."""
    shim = tmp_path / "bin" / "gh"
    shim.parent.mkdir()
    shim.write_text(GH)
    shim.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    path = os.pathsep.join([str(shim.parent), os.environ["PATH"]])
    return {**kept, "PATH": path, "GH_LOG": str(tmp_path / "gh.log"), "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def base_images(clone) -> dict[str, str]:
    """Where no registry answers, the stand-ins take the place of the base images."""
    engine.ensure()
    files = ("docker-compose.yml",)
    choice = standins.choose(files=files)
    if not choice.standins:
        return {}
    with standins.shown_progress() as progress:
        standins.build(progress)
    return {"COMPOSE_FILE": os.pathsep.join([*files, str(standins.override(clone, files))])}


def steps(job: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield script and environment of each `run` of a job."""
    for step in JOBS[job]["steps"]:
        if "run" in step:
            given = {name: VALUES[value] for name, value in step.get("env", {}).items()}
            yield step["run"], given


def test_every_job_is_executed_here():
    assert set(JOBS) == {"gate", "tests", "images"}


@pytest.mark.parametrize("job", JOBS)
def test_the_steps_of_a_job_pass_in_order(job, clone, environment, base_images):
    for script, given in steps(job):
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=clone,
            env={**environment, **base_images, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}"
    left = subprocess.run(
        ["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert left.stdout == "", "a step leaves files that git would take"
    if job == "gate":
        uploads = [
            step["with"]["sarif_file"] for step in JOBS[job]["steps"] if "sarif_file" in step.get("with", {})
        ]
        assert [(clone / each).stat().st_size > 0 for each in uploads] == [True]
        asked = Path(environment["GH_LOG"]).read_text()
        assert "a-token pr comment 7 --body-file reports/gate.md" in asked
