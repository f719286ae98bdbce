"""`make release TAG=v1.2.0` and `make upgrades`: what a release needs, and whether old ones can follow it.

python -m tools.release notes v1.2.0   the section of CHANGELOG.md that a release is told with
python -m tools.release upgrades       a repository made by each tag, updated to this commit, and its gate
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.answers import ROOT

TAG = re.compile(r"v(\d+\.\d+\.\d+)")
HEAD = re.compile(r"^## \[(?P<version>[^\]]+)\].*\n", re.MULTILINE)


class NotReleased(Exception):
    """Why something cannot be released; the text says what to do."""


def notes(tag: str, changelog: str) -> str:
    """Return the section of a changelog that belongs to a tag.

    Raises:
        NotReleased: the tag is no version, or nothing is written of it.
    """
    matched = TAG.fullmatch(tag)
    if not matched:
        raise NotReleased(f"{tag} is no version: name the tag like v1.2.0")
    heads = list(HEAD.finditer(changelog))
    for number, head in enumerate(heads):
        if head["version"] == matched[1]:
            end = heads[number + 1].start() if number + 1 < len(heads) else len(changelog)
            if text := changelog[head.end() : end].strip():
                return text
    raise NotReleased(f"CHANGELOG.md has nothing below [{matched[1]}]: rename [Unreleased] before the tag")


def tags() -> list[str]:
    """Return the releases of this repository, the oldest first."""
    said = subprocess.run(
        ["git", "tag", "--list", "v*", "--sort=version:refname", "--merged", "HEAD"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [tag for tag in said.stdout.split() if TAG.fullmatch(tag)]


def upgrade(tag: str, folder: Path) -> None:
    """Make a repository as a tag did, update it to this commit, and run its gate."""
    import cruft

    made = cruft.create(str(ROOT), output_dir=folder, checkout=tag, no_input=True)
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", tag)):
        identity = ("-c", "user.name=release", "-c", "user.email=release@example.com")
        subprocess.run(["git", *identity, *words], cwd=made, check=True)
    if not cruft.update(made, checkout="HEAD", skip_apply_ask=True):
        raise NotReleased(f"a repository of {tag} cannot be updated to this commit")
    left = [str(path.relative_to(made)) for path in made.rglob("*.rej")]
    if left:
        raise NotReleased(f"a repository of {tag} is left with conflicts: {', '.join(left)}")
    subprocess.run(["git", "add", "--all"], cwd=made, check=True)
    gate = ROOT / ".venv-policies" / "bin" / "python"
    subprocess.run([gate, "-P", "policies/__main__.py", "check"], cwd=made, check=True)


def upgrades() -> None:
    """Try every release."""
    found = tags()
    if not found:
        print("there is no release yet: nothing to update from")
    for tag in found:
        print(f"== {tag}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            upgrade(tag, Path(folder))


def main(words: list[str]) -> int:
    """Do what was asked for."""
    try:
        match words:
            case ["notes", tag]:
                print(notes(tag, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
            case ["upgrades"]:
                upgrades()
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except (NotReleased, subprocess.CalledProcessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
