"""No file of the repository takes the place of the gate: neither a module of it nor its environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from gate_run import git, run

#: A module that stops whoever imports it, as if the gate had found nothing.
CLEAN = "import os\nos._exit(0)\n"
SHADOWS = [
    "yaml.py",
    "json.py",
    "argparse.py",
    "sitecustomize.py",
    "usercustomize.py",
    "checkov/__init__.py",
    "rich/__init__.py",
    "policies/yaml.py",
    "policies/checkov/__init__.py",
]
WAYS = {"make": (), "the program": ("-P", "policies/__main__.py"), "the module": ("-m", "policies")}


def weak(root: Path) -> None:
    """Make a repository that the gate must not pass."""
    (root / ".gitignore").write_text("# nothing\n")


def gate(root: Path, way: str) -> subprocess.CompletedProcess[str]:
    """Run one rule as somebody would do it in the repository."""
    python, words = Path(sys.executable), WAYS[way]
    command = [str(python), *words, "check", "--only", "MAIL_REP_001,CKV_DOCKER_1"]
    if not words:
        venv = python.parents[1]
        command = ["make", "-o", f"{venv}/.done", "check", f"GATE={venv}", f"CHECK={' '.join(command[-2:])}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_the_gate_s_own_modules_run_whatever_lies_at_the_root(repository, way):
    weak(repository)
    for name in SHADOWS:
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(CLEAN)
    done = gate(repository, way)
    assert "MAIL_REP_001" in done.stdout, done.stderr
    assert done.returncode == (2 if way == "make" else 1)


@pytest.mark.parametrize("module", ["venv.py", "subprocess.py", "logging/__init__.py"])
def test_the_gate_s_environment_is_made_by_python_s_own_modules(repository, module):
    (repository / module).parent.mkdir(exist_ok=True)
    (repository / module).write_text("raise SystemExit('a stranger')\n")
    options = ("GATE=made", f"PYTHON={sys.executable}")
    # An empty list of requirements: what is asked is who makes the environment.
    (repository / "policies" / "requirements.txt").write_text("")
    done = subprocess.run(["make", *options, "made/.done"], cwd=repository, capture_output=True, text=True)
    assert (done.returncode, (repository / "made" / "bin" / "python").exists()) == (0, True), done.stderr


ENVIRONMENT = {
    ".venv-gate/.done": "",
    ".venv-gate/bin/python": "#!/bin/sh\ntouch ran\n",
    ".venv-gate/bin/pip": "#!/bin/sh\ntouch ran\n",
}


def test_an_environment_of_the_gate_that_is_in_git_does_not_run(tracked):
    for name, text in ENVIRONMENT.items():
        (tracked / name).parent.mkdir(parents=True, exist_ok=True)
        (tracked / name).write_text(text)
        (tracked / name).chmod(0o755)
    before = subprocess.run(["make", "check"], cwd=tracked, capture_output=True, text=True, check=False)
    assert (before.returncode, (tracked / "ran").exists()) == (0, True), "it would run if nobody looked"
    (tracked / "ran").unlink()
    git(tracked, "add", "--force", ".venv-gate")
    done = subprocess.run(["make", "check"], cwd=tracked, capture_output=True, text=True, check=False)
    assert (done.returncode, (tracked / "ran").exists()) == (2, False)
    assert "git has compiled Python or files below .venv-gate" in done.stderr


@pytest.mark.parametrize(
    ("file", "named"),
    [
        (".venv-gate/.done", ".venv-gate"),
        (".venv/bin/mailctl", ".venv"),
        ("policies/gate/__pycache__/cli.cpython-313.pyc", "policies/gate/__pycache__"),
        ("policies/compose/rules/more.pyc", "policies/compose/rules/more.pyc"),
        ("policies/gate/cli.cpython-313-x86_64-linux-gnu.so", None),
        ("terraform/s3-backup/.terraform/providers/x", "terraform/s3-backup/.terraform"),
    ],
)
def test_what_tools_make_is_refused_if_git_has_it(tracked, file, named):
    (tracked / file).parent.mkdir(parents=True, exist_ok=True)
    (tracked / file).write_text("\n")
    git(tracked, "add", "--force", file)
    report = run(tracked)
    assert [str(each.place) for each in report.problems if "a tool makes it" in each.what] == [
        f"{named or file}:1"
    ]
    assert report.exit_code == 2
