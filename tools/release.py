"""Which versions there are, and what is told of them: CHANGELOG.md is the one source.

python -m tools.release due            the tag of its newest version, if there is no such tag yet, or nothing
python -m tools.release notes v1.2.0   the section of CHANGELOG.md that a release is told with
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tools.answers import ROOT

TAG = re.compile(r"v(\d+\.\d+\.\d+)")
# What has no date is still being written, and no release.
HEAD = re.compile(r"^## \[(?P<version>\d+\.\d+\.\d+)\] - (?P<date>\d{4}-\d\d-\d\d)\n", re.MULTILINE)
NEXT_HEAD = re.compile(r"^(?:## |\[[^\]]+\]: )", re.MULTILINE)
# Versions from before there were tags, or without one.
COMMITS = {
    "0.7.0": "499dfa3cda38c3ad047c12965fb35a62657505f3",
    "0.8.0": "ea3ac59c985f9cb729eb1d1fb33ee54a9801f853",
    "0.9.0": "cd68fed0726b45a4cc6badfbeff6c7084a9fd073",
    "0.10.0": "ea13137ae5ca2f8b4542db2fb6320b26ab7cd827",
    "0.11.0": "9d64d93583fe768025decaebebac5cda79875899",
    "0.12.0": "971b45e061714b3a2e15ffc84a33829d5fd81125",
}


class NotReleased(Exception):
    """Why something cannot be released; the text says what to do."""


def changelog(root: Path = ROOT) -> str:
    """Return what CHANGELOG.md says."""
    return (root / "CHANGELOG.md").read_text(encoding="utf-8")


def notes(tag: str, text: str) -> str:
    """Return the section of a changelog that belongs to a tag.

    Raises:
        NotReleased: the tag is no version, or nothing is written of it.
    """
    matched = TAG.fullmatch(tag)
    if not matched:
        raise NotReleased(f"{tag} is no version: name the tag like v1.2.0")
    for head in HEAD.finditer(text):
        if head["version"] == matched[1]:
            following = NEXT_HEAD.search(text, head.end())
            if section := text[head.end() : following.start() if following else len(text)].strip():
                return section
    raise NotReleased(f"CHANGELOG.md has nothing below a heading '## [{matched[1]}] - YYYY-MM-DD'")


def git(*words: str, root: Path = ROOT) -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", *words], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def due(root: Path = ROOT) -> str:
    """Return the tag of the newest version of the changelog if it has to be made, else an empty text."""
    head = HEAD.search(changelog(root))
    if not head or head["version"] in COMMITS:
        return ""
    tag = f"v{head['version']}"
    return "" if git("tag", "--list", tag, root=root) else tag


def versions(root: Path = ROOT) -> dict[str, str]:
    """Return the commit of every version that was released before this commit, the oldest first.

    Raises:
        NotReleased: the history of this clone does not reach back to one of them.
    """
    found = [head["version"] for head in HEAD.finditer(changelog(root))]
    tags = set(git("tag", "--list", "v*", root=root).split())
    commits = {version: COMMITS.get(version) or f"v{version}" for version in reversed(found)}
    released = {v: commit for v, commit in commits.items() if v in COMMITS or commit in tags}
    for version, commit in released.items():
        known = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
        if subprocess.run(known, cwd=root, check=False, capture_output=True).returncode:
            fetch = "git fetch --unshallow --tags"
            raise NotReleased(f"this clone does not have {commit}, which is version {version}: {fetch}")
    return released


def main(words: list[str]) -> int:
    """Do what was asked for."""
    try:
        match words:
            case ["due"]:
                print(due())
            case ["notes", tag]:
                print(notes(tag, changelog()))
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (NotReleased, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
