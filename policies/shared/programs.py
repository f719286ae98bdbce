"""Programs that others wrote: where they are, and one run of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

#: How long a program may take, in seconds.
TIMEOUT = 600
#: Of the environment only this is for programs: what else somebody has set must not change a verdict.
PASSED_ON = ("PATH", "HOME", "TMPDIR", "SYSTEMROOT", "DOCKER_HOST", "DOCKER_CONTEXT", "TF_DATA_DIR")


def program(name: str) -> str | None:
    """Return a program's path: beside this Python first, then on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.is_file() else shutil.which(name)


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a program."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | dict(more or {})


def execute(
    command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said; never longer than TIMEOUT seconds."""
    said = {"capture_output": True, "encoding": "utf-8", "errors": "backslashreplace"}
    how = {"cwd": folder, "env": environment(more), "timeout": TIMEOUT, "check": False}
    return subprocess.run(list(command), **said, **how)
