"""Where an operator pins images by tag and digest: `image:` of the Compose files.

Those of the Dockerfiles in platform/ come with `make update`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = ("docker-compose.yml", "compose.local.yml")
PIN = re.compile(r"^\s*image:\s*(?P<name>[^\s@]+:[^\s@/:]+)@(?P<digest>sha256:[0-9a-f]{64})", re.M)


@dataclass(frozen=True)
class Pin:
    """One image by name and tag, the digest it is pinned to, and the files that say so."""

    name: str
    digest: str
    files: tuple[str, ...]


def _found(repo: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    """Every pin of the repository with its file."""
    for file in (repo / name for name in FILES if (repo / name).exists()):
        for match in PIN.finditer(file.read_text(encoding="utf-8")):
            yield file, match


def pins(repo: Path) -> list[Pin]:
    """What the repository is pinned to, each once, in the order of its files."""
    files: dict[tuple[str, str], list[str]] = {}
    for file, match in _found(repo):
        names = files.setdefault((match["name"], match["digest"]), [])
        if (name := str(file.relative_to(repo))) not in names:
            names.append(name)
    return [Pin(name, digest, tuple(where)) for (name, digest), where in files.items()]


def write(repo: Path, pin: Pin, digest: str) -> None:
    """Pin an image to another digest, wherever it is named. Other lines of the files stay as they are."""
    old, new = f"{pin.name}@{pin.digest}", f"{pin.name}@{digest}"
    for name in pin.files:
        text = (repo / name).read_text(encoding="utf-8")
        (repo / name).write_text(text.replace(old, new), encoding="utf-8")
