"""What a change brings: the findings of now without those of a git reference."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

from policies.gate.run import Report
from policies.model import Finding

#: What git answers outside of a repository.
NO_REPOSITORY = 128
Key = tuple[str, str, str, str]


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=False)


def complaint(root: Path, reference: str) -> str:
    """Return why a git reference cannot be compared with, and what to do about it; nothing if it can."""
    try:
        words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
        done = _git(root, *words)
        if done.returncode == NO_REPOSITORY:
            said = done.stderr.decode("utf-8", "backslashreplace")
            if "dubious ownership" in said:
                return f"git does not trust {root}: git config --global --add safe.directory {root.resolve()}"
            return f"{root} is no git repository: leave the option out to judge everything"
        return _unknown(root, reference) if done.returncode else ""
    except OSError:
        return "git is not installed: install it, or leave the option out to judge everything"


def _unknown(root: Path, reference: str) -> str:
    """Return what somebody can do about a reference that git does not know."""
    said = "git knows no such commit, branch or tag here"
    if _git(root, "rev-parse", "--is-shallow-repository").stdout.strip() == b"true":
        return f"{said}, and this clone is shallow: git fetch --unshallow (in a workflow: fetch-depth: 0)"
    names = _git(root, "for-each-ref", "--format=%(refname:short)").stdout.decode("utf-8", "backslashreplace")
    near = difflib.get_close_matches(reference, names.split(), 1)
    return f"{said}: " + (f"did you mean {near[0]}?" if near else "git fetch --all, then git branch --all")


def at(root: Path, reference: str, folder: Path) -> None:
    """Write the repository as it was at a git reference into a folder, with its history up to there where the
    root has one.
    """
    if (root / ".git").exists():
        _checked_out(root, reference, folder)
        return
    done = _git(root, "archive", "--end-of-options", reference)
    if done.returncode:
        raise ValueError(f"--changed-since {reference}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _checked_out(root: Path, reference: str, folder: Path) -> None:
    """Check a reference out into a repository of its own, which borrows the objects and has no other branch:
    what a later commit brought is not in its history.
    """
    commit = _said(root, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}")
    _said(folder, "init", "--quiet")
    objects, shallow = (
        root / _said(root, "rev-parse", "--git-path", name) for name in ("objects", "shallow")
    )
    (folder / ".git/objects/info/alternates").write_text(f"{objects.resolve()}\n", encoding="utf-8")
    if shallow.is_file():
        shutil.copyfile(shallow, folder / ".git/shallow")
    _said(folder, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", commit)


def _said(root: Path, *words: str) -> str:
    """Return what git says; raises ValueError with git's own words if it fails."""
    done = _git(root, *words)
    if done.returncode:
        raise ValueError(f"--changed-since: {done.stderr.decode('utf-8', 'backslashreplace').strip()}")
    return os.fsdecode(done.stdout).strip()


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
