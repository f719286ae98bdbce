"""What a change brings: the findings of now without those of a git reference."""

from __future__ import annotations

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
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, check=True)
    return os.fsdecode(done.stdout).strip()


def commit(root: Path, reference: str) -> str:
    """Return the commit of a git reference; raises ValueError with what to do if there is none."""
    if not is_git(root):
        here = f"{root} is not the top of a git repository"
        raise ValueError(f"--changed-since: {here}: leave the option out to judge everything")
    try:
        return _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}")
    except subprocess.CalledProcessError:
        fetch = "git fetch --all, with --unshallow in a shallow clone (in a workflow: fetch-depth: 0)"
        said = f"git knows no such commit, branch or tag here: {fetch}"
        raise ValueError(f"--changed-since {reference}: {said}") from None


def at(root: Path, reference: str, folder: Path) -> None:
    """Check a reference out into a repository of its own, whose history has nothing that came later."""
    _git(folder, "init", "--quiet")
    objects, shallow = (root / _git(root, "rev-parse", "--git-path", name) for name in ("objects", "shallow"))
    (folder / ".git/objects/info/alternates").write_text(f"{objects.resolve()}\n", encoding="utf-8")
    if shallow.is_file():
        shutil.copyfile(shallow, folder / ".git/shallow")
    _git(folder, "-c", "core.hooksPath=/dev/null", "checkout", "--quiet", "--detach", commit(root, reference))


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
