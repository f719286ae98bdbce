"""The repository at GitHub: a bare one, with an operator's clone in which commits are made."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cookiecutter.main import cookiecutter

from tests.workflows.runner import TEMPLATE, git
from tools import standins

OVERRIDE = "compose.standins.yml"


@dataclass
class Origin:
    """`work` is the operator's clone; what is pushed is in the bare repository `bare`."""

    work: Path
    bare: Path

    def make(self, standin: bool) -> None:
        """The defaults, committed; where no registry answers, with stand-ins named in a file of it."""
        made = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(self.work.parent)))
        verify_the_services_only(made / "Makefile")
        if standin:
            standins.override(made, output=made / OVERRIDE)
        git(made, "init", "--quiet", "--initial-branch", "main")
        git(made, "init", "--quiet", "--bare", "--initial-branch", "main", str(self.bare))
        git(made, "remote", "add", "origin", str(self.bare))
        self.push("The defaults")

    @property
    def head(self) -> str:
        return git(self.work, "rev-parse", "HEAD").strip()

    def push(self, title: str, *options: str) -> str:
        """Commit what is there, push it to main, and return the commit."""
        git(self.work, "add", "--all")
        git(self.work, *options, "commit", "--quiet", "--allow-empty", "--message", title)
        git(self.work, "push", "--quiet", "--force", "origin", "HEAD:main")
        return self.head

    def change(self, title: str, edits: Iterable[Mapping[str, Any]]) -> str:
        """Push edits, each a row with `file` and `replace`, `cut`, `append`, `write` or `remove`."""
        for each in edits:
            edit(self.work / each["file"], each)
        return self.push(title)

    def repair(self, good: str, edits: Iterable[Mapping[str, Any]]) -> str:
        """On top of what was pushed, a commit with the files of a good one, and with edits."""
        git(self.work, "read-tree", "-u", "--reset", good)
        return self.change("Repaired", edits)

    def checked(self) -> str:
        """What the workflow Main does once its checks are green: move the branch `checked`."""
        git(self.work, "push", "--quiet", "--force", "origin", "HEAD:checked")
        return self.head

    def parent(self, commit: str) -> str:
        return git(self.work, "rev-parse", f"{commit}^").strip()

    def back(self, commit: str) -> None:
        """Take back what was pushed after a commit."""
        git(self.work, "reset", "--quiet", "--hard", commit)
        git(self.work, "push", "--quiet", "--force", "origin", "HEAD:main")


def verify_the_services_only(makefile: Path) -> None:
    """This host has no firewall and no disks of its own, and a sender of mail stands on its networks.

    All of `make verify` is judged by tests of its own, on a host that `make setup-host` made.
    """
    only = "--only 'every_service_is_healthy or runs_the_image or compose_would_make_it'"
    edit(makefile, {"append": f"\nverify: ARGS = {only}\n"})


def edit(path: Path, how: Mapping[str, Any]) -> None:
    """Change one file as a row says; `optional`: where there is such a file.

    In what is written, NEWEST is the number that the newest file of the folder begins with.
    """
    if how.get("optional") and not path.exists():
        return
    if how.get("remove"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    text = path.read_text() if path.exists() else ""
    if "replace" in how:
        old, new = how["replace"]
        assert text.count(old) == 1, f"{path}: {old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    if "cut" in how:
        # From the first text up to the second one, or to the end.
        head, start, rest = text.partition(how["cut"][0])
        end = rest.find(how["cut"][1]) if how["cut"][1:] else len(rest)
        assert start and end >= 0, f"{path}: {how['cut']} is not there"
        text = head + rest[end:]
    path.parent.mkdir(parents=True, exist_ok=True)
    newest = max(
        (each.name.partition("_")[0] for each in path.parent.glob("[0-9]*_*") if each != path), default=""
    )
    path.write_text(how.get("write", text + how.get("append", "")).replace("NEWEST", newest))


def clone(bare: Path, folder: Path) -> Path:
    """What actions/checkout makes of it on a runner."""
    subprocess.run(["git", "clone", "--quiet", str(bare), str(folder)], check=True)
    return folder
