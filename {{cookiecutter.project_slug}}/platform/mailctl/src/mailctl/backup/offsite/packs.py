"""Packs: new files of a snapshot as a compressed tar in age, each file under the name of its SHA-256.

By hand: age --decrypt -i KEY PACK | tar xz
"""

import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from mailctl.core import encryption
from mailctl.core import snapshot_manifest as manifest
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshots import Snapshot

SIZE = 64 * 1024 * 1024
MOST_FILES = 20_000
# Larger content waits in a file, not in memory.
IN_MEMORY = 8 * 1024 * 1024
_BROKEN = (tarfile.TarError, zlib.error, EOFError)


@dataclass(frozen=True)
class File:
    """A file of a snapshot: path, SHA-256, bytes, time of change in ns (a mail's arrival), permissions."""

    path: str
    sha: str
    size: int
    mtime: int
    mode: int


def listing(snapshot: Snapshot) -> Iterator[File]:
    """What the snapshot says it holds. Raises Refused when a file is missing or no file."""
    for path, sha in manifest.read_index(snapshot.path / manifest.MAIL_INDEX):
        yield _file(snapshot, path, sha)
    for name, component in snapshot.manifest.components.items():
        for path, entry in component["list"].items() if name != "mail" else ():
            yield _file(snapshot, path, entry["sha256"])
    for path in (manifest.FILE, manifest.MAIL_INDEX):
        yield _file(snapshot, path, manifest.file_digest(snapshot.path / path))


def empty_folders(snapshot: Snapshot) -> Iterator[str]:
    """Folders without anything in them, as Maildir needs them."""
    walk = os.walk(snapshot.path / "mail")
    return (os.path.relpath(root, snapshot.path) for root, below, files in walk if not below + files)


def groups(files: Iterable[File]) -> Iterator[list[File]]:
    """Files for one pack each: about SIZE bytes and MOST_FILES at most, or a single larger file."""
    group: list[File] = []
    total = 0
    for file in files:
        if group and (total + file.size > SIZE or len(group) == MOST_FILES):
            yield group
            group, total = [], 0
        group.append(file)
        total += file.size
    if group:
        yield group


def build(folder: Path, snapshot: Snapshot, files: Iterable[File], recipients: list[str]) -> Path:
    """Write a pack into `folder`; its name is the SHA-256 of its bytes. Raises Refused for a changed file."""
    with SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(folder)) as plain:
        with tarfile.open(fileobj=plain, mode="w:gz", compresslevel=6) as tar:
            for file in files:
                _add(tar, snapshot, file)
        plain.seek(0)
        return seal(folder, plain, recipients)


def seal(folder: Path, plain: IO[bytes], recipients: list[str]) -> Path:
    """Encrypt `plain` into `folder`, under the name of its SHA-256."""
    partial = folder / "new.partial"
    with partial.open("wb") as target:
        encryption.encrypt(plain, target, recipients)
    return partial.replace(folder / manifest.file_digest(partial))


def extract(pack: IO[bytes], identities: list[str], wanted: Mapping[str, list[File]], folder: Path) -> int:
    """Write the wanted files (by SHA-256) of a pack below `folder`; their bytes. Raises Refused."""
    written = 0
    with SpooledTemporaryFile(max_size=IN_MEMORY, dir=str(folder)) as plain:
        encryption.decrypt(pack, plain, identities)
        plain.seek(0)
        try:
            with tarfile.open(fileobj=plain, mode="r:gz") as tar:
                for member in tar:
                    for file in wanted.get(member.name, ()):
                        source = tar.extractfile(member) if member.size == file.size else None
                        if source is None or _write(source, folder / file.path, file) != file.sha:
                            raise tarfile.TarError(f"{member.name} has other content than its name says")
                        written += file.size
        except _BROKEN as error:
            fix = "use another snapshot: .venv/bin/mailctl sync --list"
            raise Refused(Problem("pack", f"is damaged: {error}", fix)) from None
    return written


def _write(source: IO[bytes], path: Path, file: File) -> str:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with path.open("xb") as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
    date(path, file)
    return manifest.file_digest(path)


def date(path: Path, file: File) -> None:
    """Give a file that is ours the time and the permissions that it had."""
    path.chmod(file.mode & 0o777)
    os.utime(path, ns=(file.mtime, file.mtime))


class _Hashing:
    """Hashes what tarfile reads."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source, self.sha = source, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._source.read(size)
        self.sha.update(block)
        return block


def _add(tar: tarfile.TarFile, snapshot: Snapshot, file: File) -> None:
    member = tarfile.TarInfo(file.sha)
    member.size = file.size
    fd = os.open(snapshot.path / file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as source:
        hashing = _Hashing(source)
        try:
            tar.addfile(member, hashing)
        except OSError as error:  # shorter than it was
            raise _changed(snapshot, file.path, str(error)) from None
    if hashing.sha.hexdigest() != file.sha:
        raise _changed(snapshot, file.path, "its checksum differs")


def _file(snapshot: Snapshot, path: str, sha: str) -> File:
    try:
        found = (snapshot.path / path).lstat()
    except OSError as error:
        raise _changed(snapshot, path, str(error.strerror)) from None
    return File(path, sha, found.st_size, found.st_mtime_ns, found.st_mode & 0o777)


def _changed(snapshot: Snapshot, path: str, why: str) -> Refused:
    wrong = f"is not what was saved: {why}"
    return Refused(Problem(f"{snapshot.id}/{path}", wrong, "take a new snapshot: make backup ARGS=--weekly"))
