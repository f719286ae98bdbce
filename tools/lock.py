"""`make lock`: compiles every requirements file again, with hashes and without naming an index.

A row is a file, the Python it is for, a file whose versions it must share, and whether it is taken alone.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tools.answers import ROOT

GENERATED = "{{cookiecutter.project_slug}}"
PLATFORM = f"{GENERATED}/platform"


class Lock(NamedTuple):
    """One requirements file without its ending; `like` is a lock file whose versions it must share, `alone`
    says that what it names is only downloaded, without what that needs.
    """

    source: str
    python: str
    like: str = ""
    alone: bool = False


LOCKS = (
    Lock("requirements/new", "3.11"),
    Lock(f"{PLATFORM}/mailctl/requirements", "3.11"),
    Lock(f"{PLATFORM}/mailserver-api/requirements", "3.13"),
    Lock(f"{PLATFORM}/usermgmt/requirements", "3.13"),
    Lock(f"{PLATFORM}/radicale/requirements", "3.13"),
    Lock(f"{GENERATED}/tests/host/requirements", "3.11"),
    Lock(f"{PLATFORM}/requirements/update", "3.11"),
    Lock(f"{PLATFORM}/requirements/audit", "3.11"),
    Lock("requirements/dev", "3.11", "requirements/new.txt"),
    Lock("requirements/terraform", "3.11"),
    Lock("requirements/terraform-provider", "3.11", alone=True),
    Lock("requirements/checkov", "3.11"),
    Lock("policies/requirements", "3.11"),
    Lock("requirements/policies", "3.11", "policies/requirements.txt"),
    Lock("tests/standins/mailpit/requirements", "3.13"),
)


def compile_one(lock: Lock, upgrade: bool) -> None:
    """Compile one file where it lies, so that its own relative references hold."""
    source = ROOT / f"{lock.source}.in"
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", lock.python]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-header"]
    # From where it lies, or the comments of the lock file would name a folder of this machine.
    command += ["--constraint", os.path.relpath(ROOT / lock.like, source.parent)] if lock.like else []
    command += ["--no-deps"] if lock.alone else []
    command += ["--upgrade"] if upgrade else []
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [str(uv), *command[1:], "--output-file", f"{source.stem}.txt", source.name],
        cwd=source.parent,
        check=True,
    )


def main(words: list[str]) -> int:
    """Compile all."""
    parser = argparse.ArgumentParser(prog="python -m tools.lock", description=__doc__)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="change no version, only add and remove what is asked for",
    )
    upgrade = not parser.parse_args(words).keep
    for lock in LOCKS:
        print(lock.source, flush=True)
        compile_one(lock, upgrade)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
