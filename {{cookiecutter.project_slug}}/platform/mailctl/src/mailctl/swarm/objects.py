"""Configs and secrets of the engine, each named by its content: neither can change under its name."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from mailctl.core.errors import Problem, Refused

#: What the engine takes at most, in bytes (its limits are 1000 and 500 KiB, exclusive).
LIMITS = {"config": 1000 * 1024 - 1, "secret": 500 * 1024 - 1}
LETTERS, DIGITS = 64, 12


@dataclass(frozen=True)
class Object:
    """A config or a secret: `kind` says which. `data` is never shown."""

    kind: str
    name: str
    data: bytes

    def __repr__(self) -> str:
        return f"Object({self.kind}, {self.name})"


def made(kind: str, project: str, label: str, data: bytes, field: str) -> Object:
    """Name it. Raises Refused: the engine takes neither empty ones nor those above its limit."""
    if not 1 <= len(data) <= LIMITS[kind]:
        wrong = "is empty" if not data else f"has {len(data)} bytes; the engine takes {LIMITS[kind]}"
        fix = "write a line into it, or take the file away" if not data else "make it smaller"
        raise Refused(Problem(field, f"{wrong}: it cannot be a {kind}", fix))
    # A name has 64 letters at most; what is cut does not matter, the digest tells contents apart.
    first = project[:20]
    last = label.removeprefix("config.")[-(LETTERS - DIGITS - len(first) - 2) :].strip("-._")
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{first}.{last}")
    return Object(kind, f"{stem}-{sha256(data).hexdigest()[:DIGITS]}", data)


def read(path: Path, field: str) -> bytes:
    """The content of a file. Raises Refused: it is missing, no file, or not to be read by this user."""
    try:
        return path.read_bytes()
    except OSError as error:
        fix = "make it a file that this user can read; secrets are made by: make setup"
        raise Refused(Problem(field, f"{error.strerror}: it cannot be read", fix, value=str(path))) from None


def files(source: Path, field: str) -> Iterator[tuple[str, Path]]:
    """The files of a folder with their paths in it, or the one file itself with an empty path.

    Raises Refused: something in it is neither a file nor a folder, or there is nothing in it.
    """
    if source.is_file():
        yield "", source
        return
    found = sorted(path for path in source.rglob("*") if not path.is_dir() or path.is_symlink())
    if not found:
        fix = "commit the file or folder, or take the mount away"
        raise Refused(Problem(field, "is not there, or holds no file", fix, value=str(source)))
    for path in found:
        if path.is_symlink() or not path.is_file():
            wrong = "is neither a file nor a folder: a stack cannot have it"
            raise Refused(Problem(field, wrong, "put a plain file in its place", value=str(path)))
        yield path.relative_to(source).as_posix(), path


def mode(path: Path) -> int:
    """What a config may be: never written, executed if the file is. git keeps no more of a mode."""
    return 0o555 if path.stat().st_mode & 0o100 else 0o444
