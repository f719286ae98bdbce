"""Who may import whom in the Python packages of this repository."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools.answers import ROOT
from tools.imports import FOLDERS


def lint(first: Path | None = None) -> tuple[int, str]:
    """What `make lint` says of imports, with a package from another folder."""
    command = [sys.executable, "-m", "tools.imports"]
    env = {**os.environ, "PYTHONPATH": str(first or "")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_every_contract_is_kept() -> None:
    code, said = lint()
    assert code == 0, said


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("core/errors.py", "import mailctl.backup.cli", "The core of mailctl imports no capability"),
        (
            "trace/cli.py",
            "import mailctl.backup.take",
            "A capability of mailctl imports of another what that offers",
        ),
        ("backup/take.py", "import mailctl.backup.cli", "No circles"),
    ],
)
def test_an_import_that_crosses_a_border_is_reported(
    tmp_path: Path, file: str, line: str, broken: str
) -> None:
    shutil.copytree(ROOT / FOLDERS[0] / "mailctl", tmp_path / "mailctl")
    with (tmp_path / "mailctl" / file).open("a") as module:
        module.write(f"{line}\n")
    code, said = lint(tmp_path)
    assert code == 1
    assert f"{broken} BROKEN" in said
