"""Every combination of answers as a generated repository, made once a test run."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from tests.generation.generate import config_file, render
from tools import answers, covering

TEMPLATE = answers.ROOT / "{{cookiecutter.project_slug}}"
POST_GEN = answers.load_hook("post_gen_project")
COMBINATIONS = covering.combinations()


def files(root: Path) -> Iterator[Path]:
    """Yield the files below a folder, relative to it and in order; links to folders are followed."""

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in POST_GEN.LEFTOVERS):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path.relative_to(root)

    return walk(root)


def settled(path: Path) -> Path:
    """Return where a file of the template ends up: documents of a language move to the root."""
    return Path(*path.parts[2:]) if path.parts[0] == POST_GEN.DOCUMENTS else path


class Repositories:
    """The generated repositories; each is made when it is first asked for, by one process of a run."""

    def __init__(self, shared: Path, own: Path) -> None:
        self._folder, self._made = shared, {}
        self._config = config_file(own)

    def __getitem__(self, name: str) -> Path:
        self._make(name)
        return self._made[name]

    def _make(self, name: str, wait: int = 0) -> None:
        """Make one, unless that is done; `fcntl.LOCK_NB`: or being done by another process."""
        out = self._folder / f"{list(COMBINATIONS).index(name):02}"
        done = out.with_suffix(".made")
        with out.with_suffix(".lock").open("w") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | wait)
            if not done.exists():
                done.write_text(str(render(COMBINATIONS[name], out, self._config)), encoding="utf-8")
            self._made[name] = Path(done.read_text(encoding="utf-8"))

    def distinct_files(self) -> list[tuple[Path, Path]]:
        """Return (repository, relative path) of every file once for each different content it has."""
        seen, found = set(), []
        for name in COMBINATIONS:
            self._make(name, fcntl.LOCK_NB)
        for name in COMBINATIONS:
            for relative in files(self[name]):
                digest = hashlib.sha256((self[name] / relative).read_bytes()).digest()
                if (relative, digest) not in seen:
                    seen.add((relative, digest))
                    found.append((self[name], relative))
        return found


def text(path: Path) -> str | None:
    """Return a file's text, or None if it is a binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
