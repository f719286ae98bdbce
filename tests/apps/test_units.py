"""The unit tests of the generated repository's parts pass as they are generated, on no leftovers of ours.

Each part's pyproject.toml has a floor of coverage, which is held here as in the generated `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[2]
# The part, and which of its tests; those on a real Postfix or MariaDB run in tests/workflows, by `make test`.
PARTS = (
    pytest.param("mailserver-api", ("-m", "not postfix"), id="mailserver-api"),
    # The longest: in two processes, for the others are done by then.
    pytest.param("mailctl", ("-n", "2", "--dist", "worksteal"), id="mailctl"),
    pytest.param("usermgmt", ("-m", "not mariadb"), id="usermgmt"),
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    return Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder)))


@pytest.mark.parametrize(("part", "chosen"), PARTS)
def test_the_unit_tests_of_a_part_pass(repository, part, chosen):
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--cov", "--cov-report=", *chosen]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        command,
        cwd=repository / part,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "Required test coverage of" in done.stdout, "nobody looked at the coverage"
    assert " passed" in done.stdout and " skipped" not in done.stdout, done.stdout[-500:]


def test_the_unit_tests_of_the_email_worker_pass_in_plain_node(repository):
    done = subprocess.run(
        ["node", "--test", "--test-reporter=tap"],
        cwd=repository / "edge" / "email-worker",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "# fail 0" in done.stdout and "# skipped 0" in done.stdout and "# pass 0" not in done.stdout
