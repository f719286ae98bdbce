"""What an earlier run found out about the same inputs, kept beside the gate's Python, never in git.

A key holds the content of everything that a result depends on, the gate's own files and versions too, so
nothing here can be out of date; an entry that cannot be read is computed again.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

POLICIES = Path(__file__).parent.parent
FOLDER = Path(sys.prefix) / "gate-cache"
#: Entries that nobody asked for that long, in seconds, are removed, and all above that many.
OLD = 14 * 86400
MOST = 2000


def digest(parts: Iterable[str | bytes]) -> str:
    """Return one digest of several texts."""
    whole = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


@lru_cache(maxsize=1)
def gate() -> str:
    """Return what stands for the gate itself: its files, its schemas, and the versions of packages."""
    files = [
        file
        for folder in (POLICIES, POLICIES.parent / "schemas")
        for file in sorted(folder.rglob("*"))
        if file.suffix in (".py", ".yml", ".json") and file.is_file()
    ]
    packages = Path(sysconfig.get_path("purelib")).glob("*.dist-info")
    versions = sorted(each.name for each in packages)
    return digest(
        [sys.version, *versions, *(part for file in files for part in (str(file), file.read_bytes()))]
    )


def entry(kind: str, parts: Iterable[str | bytes]) -> Path:
    """Return the file of an entry, whether it is there or not."""
    return FOLDER / f"{kind}-{digest([gate(), *parts])[:40]}"


def load(path: Path) -> Any:
    """Return what an entry holds; None if there is none, or none that can be read."""
    with suppress(Exception):
        value = pickle.loads(path.read_bytes())  # noqa: S301  # written by this program, in its own environment
        path.touch()
        return value
    return None


def save(path: Path, value: Any) -> None:
    """Keep a value, whole or not at all; where nothing can be written, nothing is remembered."""
    with suppress(OSError):
        FOLDER.mkdir(exist_ok=True)
        part = path.with_name(f".{path.name}.{time.monotonic_ns()}")
        part.write_bytes(pickle.dumps(value))
        part.replace(path)


def remembered(kind: str, parts: Iterable[str | bytes], compute: Callable[[], Any], keep: Any = None) -> Any:
    """Return what `compute` returns, from an earlier run if there was one with the same parts.

    `keep(value)` tells whether a value may be remembered; by default every one may.
    """
    path = entry(kind, parts)
    if (value := load(path)) is None:
        value = compute()
        if keep is None or keep(value):
            save(path, value)
    return value


def tidy() -> None:
    """Remove what nobody asked for in a while."""
    with suppress(OSError):
        entries = sorted((path.stat().st_mtime, path) for path in FOLDER.iterdir())
        for _, path in entries[:-MOST] + [each for each in entries[-MOST:] if each[0] < time.time() - OLD]:
            path.unlink(missing_ok=True)
