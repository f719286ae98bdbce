"""Files that the gate would not see although they count: what is here must be what was reviewed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from policies.model import Place
from policies.repository.tracked import is_git
from policies.shared.repository import MADE, Repository
from policies.shared.tables import table

LINK, MODULE = "120000", "160000"
#: What Python runs in place of a source file, and nobody can read.
COMPILED = ("*.py[cod]", "policies/*.so")
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _git(repository: Repository, *words: str) -> list[str]:
    command = ["git", "-C", str(repository.root), "ls-files", "-z", *words]
    done = subprocess.run(command, capture_output=True, check=True)
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def look(repository: Repository) -> None:
    """Note everything of the kind."""
    if is_git(repository):
        for kind, place, what, fix in (
            *_in_the_index(repository),
            *_ignored(repository),
            *_made(repository),
        ):
            repository.problem(kind, place, what, fix)
    for place, what, fix in (*_links(repository), *_names(repository), *_contents(repository)):
        repository.problem("not-looked-at", place, what, fix)


def _in_the_index(repository: Repository) -> Iterator[tuple[str, Place, str, str]]:
    """Yield what git was told not to look at, and repositories inside this one."""
    for line in _git(repository, "-v", "--cached"):
        tag, _, file = line.partition(" ")
        if tag == "S" or tag.islower():
            fix = f"git update-index --no-skip-worktree --no-assume-unchanged {file}; no sparse checkout"
            yield (
                "not-looked-at",
                Place(file),
                "git was told to look away: what is here is not what is in git",
                fix,
            )
    for line in _git(repository, "--stage"):
        mode, _, rest = line.partition(" ")
        if mode == MODULE:
            file = rest.partition("\t")[2]
            fix = "put its files here, or name an image or a release with its digest instead"
            yield "not-looked-at", Place(file), "a repository inside this one: its files were not judged", fix
    for name in _git(repository, "--others", "--exclude-standard"):
        if name.endswith("/"):
            fix = "remove its .git folder, or let .gitignore name it"
            yield "not-looked-at", Place(name.rstrip("/")), "a repository inside this one", fix


def _made(repository: Repository) -> Iterator[tuple[str, Place, str, str]]:
    """Yield what git has in folders that tools make, and what is compiled: it runs, and nobody reviews it."""
    seen = set()
    for file in _git(repository, "--cached"):
        parts = file.split("/")
        depth = next((number for number, part in enumerate(parts, 1) if _is_made(part)), 0)
        named = "/".join(parts[:depth]) if depth else file
        if (depth or any(fnmatch(file, each) for each in COMPILED)) and named not in seen:
            seen.add(named)
            what = "a tool makes it, but git has it: it would run here, and nobody reviews it"
            yield "not-looked-at", Place(named), what, f"git rm -r --cached {named}; name it in .gitignore"


def _is_made(name: str) -> bool:
    return any(fnmatch(name, made) for made in MADE)


def _ignored(repository: Repository) -> Iterator[tuple[str, Place, str, str]]:
    """Yield files that git ignores and that the deployment reads."""
    known = table("switches")
    for file in _ignored_files(repository):
        if any(fnmatch(file, each) for each in known["made_on_the_host"]):
            continue
        if any(fnmatch(file, each) for each in known["read_though_ignored"]):
            what = "git ignores it, so nobody reviews it, but the deployment reads it"
            yield (
                "not-looked-at",
                Place(file),
                what,
                "take it out of .gitignore and .git/info/exclude, or remove it",
            )


def _ignored_files(repository: Repository) -> Iterator[str]:
    """Yield what git ignores, without the folders that tools make: an environment has thousands of files."""
    for name in _git(repository, "--others", "--ignored", "--exclude-standard", "--directory"):
        if any(_is_made(part) for part in name.split("/")):
            continue
        if not name.endswith("/"):
            yield name
            continue
        for folder, folders, names in os.walk(repository.root / name):
            folders[:] = [each for each in folders if not _is_made(each)]
            yield from (Path(folder, each).relative_to(repository.root).as_posix() for each in names)


def _every_link(repository: Repository) -> Iterator[str]:
    """Yield links, also those that lead to a folder or nowhere, which are no files."""
    yield from (file for file in repository.files if (repository.root / file).is_symlink())
    if is_git(repository):
        for line in _git(repository, "--stage"):
            if line.startswith(LINK):
                yield line.partition("\t")[2]


def _links(repository: Repository) -> Iterator[tuple[Place, str, str]]:
    """Yield links to what is not in the repository: what they show is not what was reviewed."""
    files = set(repository.files)
    for file in _every_link(repository):
        target = (repository.root / file).resolve()
        inside = target.is_relative_to(repository.root)
        path = repository.relative(target) if inside else ""
        if not inside:
            what = "a link that leads out of the repository"
        elif not target.exists():
            what = "a link that leads nowhere"
        elif target.is_file() and path not in files:
            what = f"a link to {path}, which is not in git"
        else:
            continue
        yield Place(file), what, "put the file itself here"


def _names(repository: Repository) -> Iterator[tuple[Place, str, str]]:
    """Yield names that are another file on another machine, or that hide in a listing."""
    first: dict[str, str] = {}
    for file in repository.files:
        other = first.setdefault(file.casefold(), file)
        if other != file:
            what = f"{other} differs in large and small letters only: some machines keep one of them"
            yield Place(file), what, "give one of them another name"
        if not file.isprintable():
            yield (
                Place(file.encode("unicode_escape").decode()),
                "a name with signs that nobody sees",
                "rename it",
            )


def _contents(repository: Repository) -> Iterator[tuple[Place, str, str]]:
    """Yield files that rules for text cannot read."""
    for file in repository.files:
        path = repository.root / file
        if file in repository.changes or not path.is_file():
            continue
        with path.open("rb") as opened:
            start = opened.read(2)
        if start in UTF16:
            yield Place(file), "it is written in UTF-16, which no rule reads", "write it in UTF-8"
        repository.text(file)  # notes one that is too large
