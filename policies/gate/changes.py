"""What a change brings: the findings of now without those of a git reference."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from policies.gate.run import Report
from policies.model import Finding
from policies.shared.repository import is_git

Key = tuple[str, str, str, str]


def _git(root: Path, *words: str) -> str:
    """Return what git says; raises ValueError with git's own words if it fails."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)
    except OSError:
        raise ValueError("git is not installed: install it, or leave --changed-since out") from None
    if done.returncode:
        raise ValueError(f"--changed-since: {done.stderr.decode('utf-8', 'backslashreplace').strip()}")
    return os.fsdecode(done.stdout).strip()


def complaint(root: Path, reference: str) -> str:
    """Return why a git reference cannot be compared with, and what to do about it; nothing if it can."""
    if not is_git(root):
        return f"{root} is not the top of a git repository: leave the option out to judge everything"
    try:
        _git(root, "rev-parse", "--is-inside-work-tree")
    except ValueError as error:
        return str(error)  # git's own words say what to type, for instance about safe.directory
    try:
        _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    except ValueError:
        return _unknown(root, reference)
    return ""


def _unknown(root: Path, reference: str) -> str:
    """Return what somebody can do about a reference that git does not know."""
    said = "git knows no such commit, branch or tag here"
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        return f"{said}, and this clone is shallow: git fetch --unshallow (in a workflow: fetch-depth: 0)"
    names = _git(root, "for-each-ref", "--format=%(refname:short)").split()
    near = difflib.get_close_matches(reference, names, 1)
    return f"{said}: " + (f"did you mean {near[0]}?" if near else "git fetch --all, then git branch --all")


def at(root: Path, reference: str, folder: Path) -> None:
    """Check a reference out into a repository of its own, which borrows the objects and has no other branch:
    what a later commit brought is not in its history.
    """
    commit = _git(root, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    _git(folder, "init", "--quiet")
    objects, shallow = (root / _git(root, "rev-parse", "--git-path", name) for name in ("objects", "shallow"))
    (folder / ".git/objects/info/alternates").write_text(f"{objects.resolve()}\n", encoding="utf-8")
    if shallow.is_file():
        shutil.copyfile(shallow, folder / ".git/shallow")
    _git(folder, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", commit)


def key(finding: Finding) -> Key:
    """Return what makes a finding the same one although lines moved."""
    return finding.rule, finding.place.file, finding.entity, finding.what


def only_new(report: Report, old: Counter[Key], reference: str) -> None:
    """Leave out as many findings of a kind as there were at the reference; one more of them is new."""
    new = []
    for each in report.findings:
        if old[key(each)]:
            old[key(each)] -= 1
        else:
            new.append(each)
    if left := len(report.findings) - len(new):
        report.notes.append(f"{left} findings were there at {reference} already and are left out")
    report.findings = new
