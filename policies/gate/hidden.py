"""Files that the gate would not see although they count: what is here must be what was reviewed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from policies.model import Place
from policies.shared.repository import MADE, Repository, is_git
from policies.shared.rule import read

LINK, MODULE = "120000", "160000"
#: What git ignores and the deployment reads, and what of it may be there.
KNOWN = read(Path(__file__).with_name("hidden.yml"))
Said = Iterator[tuple[Place, str, str]]


def _git(root: Path, *words: str) -> list[str]:
    command = ["git", "-C", str(root), "ls-files", "-z", *words]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:  # git's own words say what to type, for instance about safe.directory
        raise ValueError(done.stderr.decode("utf-8", "backslashreplace").strip())
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def look(repository: Repository) -> None:
    """Note everything of the kind."""
    of_git = (*_inside(repository), *_ignored(repository)) if is_git(repository.root) else ()
    for place, what, fix in (*of_git, *_links(repository)):
        repository.problem("not-looked-at", place, what, fix)
    for file in repository.files:
        repository.text(file)  # notes one that is too large


def _staged(root: Path, mode: str) -> list[str]:
    return [line.partition("\t")[2] for line in _git(root, "--stage") if line.startswith(mode)]


def _inside(repository: Repository) -> Said:
    """Yield repositories inside this one, whose files git has not."""
    what = "a repository inside this one: its files were not judged"
    fix = "remove its .git folder and put its files here, or name an image or a release instead"
    others = [name for name in _git(repository.root, "--others", "--exclude-standard") if name.endswith("/")]
    for name in (*_staged(repository.root, MODULE), *others):
        yield Place(name.rstrip("/")), what, fix


def _ignored(repository: Repository) -> Said:
    """Yield files that git ignores and that the deployment reads."""
    what = "git ignores it, so nobody reviews it, but the deployment reads it"
    for file in ignored_files(repository.root):
        known = any(fnmatch(file, each) for each in KNOWN["made_on_the_host"])
        if not known and any(fnmatch(file, each) for each in KNOWN["read_though_ignored"]):
            yield Place(file), what, "take it out of .gitignore and .git/info/exclude, or remove it"


def ignored_files(root: Path) -> list[str]:
    """Return what git ignores, without the folders that tools make: an environment has thousands of files."""
    made = (f":(exclude,glob)**/{each}/**" for each in MADE)
    return _git(root, "--others", "--ignored", "--exclude-standard", "--", ".", *made)


def _links(repository: Repository) -> Said:
    """Yield links to what is not in the repository: what they show is not what was reviewed."""
    files, root = set(repository.files), repository.root
    # Links to a folder, or to nothing, are no files.
    staged = _staged(root, LINK) if is_git(root) else []
    for file in sorted({*staged, *(file for file in files if (root / file).is_symlink())}):
        target = (root / file).resolve()
        inside = target.is_relative_to(root) and target.exists()
        if not inside or (target.is_file() and repository.relative(target) not in files):
            yield Place(file), "a link to what is not in this repository", "put the file itself here"
