"""A machine that runs a workflow's steps one after the other, as GitHub's runners do."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[2]
WORKFLOWS = Path(".github/workflows")
#: A step may take as long as the longest job.
SECONDS = 2700


def jobs(repository: Path, name: str = "pull-request") -> dict[str, Any]:
    """Return the jobs of one of a repository's workflows."""
    return yaml.safe_load((repository / WORKFLOWS / f"{name}.yml").read_text(encoding="utf-8"))["jobs"]


def scripts(job: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield script and environment of each `run` of a job; `values` stand in for GitHub's expressions."""
    for step in job["steps"]:
        if "run" in step:
            given = step.get("env", {}).items()
            yield step["run"], {name: values[value] if "${{" in value else value for name, value in given}


def inherited() -> dict[str, str]:
    """Return this process's environment without what pytest and Make say to their children."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "MAKE"))}
    return kept | {"PYTHONDONTWRITEBYTECODE": "1"}


def put(folder: Path, name: str, text: str) -> None:
    """Write a program."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    (folder / name).chmod(0o755)


def git(folder: Path, *words: str) -> str:
    """Run git as somebody and return what it says."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout


def step(script: str, folder: Path, environment: Mapping[str, str]) -> str:
    """Run one script as GitHub does and return its output; a failure shows it."""
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-6000:]}"
    return done.stdout
