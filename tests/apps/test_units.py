"""The unit tests of the generated repository's parts pass as they are generated, on no leftovers of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[2]
PARTS = ("mailserver-api", "usermgmt", "mailctl")


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    return Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder)))


@pytest.mark.parametrize("part", PARTS)
def test_the_unit_tests_of_a_part_pass(repository, part):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command,
        cwd=repository / part,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout and " skipped" not in done.stdout, done.stdout[-500:]
