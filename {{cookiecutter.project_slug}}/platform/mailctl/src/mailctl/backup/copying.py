"""Copies files between open folders: no path is resolved twice, and no symbolic link is followed."""

import hashlib
import os

CHUNK = 1 << 20


def copy_file(source: int | None, name: str, target: int, new_name: str) -> tuple[str, int] | None:
    """Copy a file with its time; its SHA-256 and size, None when it is not there."""
    if source is None:
        return None
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(fd)
        into = os.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            digest, size = _pour(fd, into, status.st_size)
            os.utime(into, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(into)
    finally:
        os.close(fd)
    return digest, size


def digest_of(folder: int | None, name: str) -> str | None:
    """The SHA-256 of a file; None when the disk cannot read it."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(fd, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _pour(fd: int, into: int, expected: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := os.read(fd, min(CHUNK, max(1, expected - size))):
        digest.update(chunk)
        size += len(chunk)
        while chunk:
            chunk = chunk[os.write(into, chunk) :]
    return digest.hexdigest(), size
