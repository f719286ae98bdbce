"""A folder of secret files: locked while it changes, written whole or not at all, never by symlink."""

import errno
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailctl.core.errors import Problem, Refused

FOLDER_MODE = 0o700
LOCK_NAME = ".lock"
LOCK_LIMIT_SECONDS = 30.0
TEMPORARY = ".new-"


class Store:
    """The secret folder at `path`. One descriptor is used throughout, so it cannot be swapped."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._fd = descriptor

    def read(self, name: str) -> bytes | None:
        """The file's content, None when it is missing. Raises Refused for what is no plain file."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(self._unusable(name, error)) from None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise Refused(self._not_a_file(name))
        with os.fdopen(fd, "rb") as file:
            return file.read()

    def write(self, name: str, content: bytes, mode: int) -> None:
        """Put the file there with exactly this mode, in one step; readers see the old or the new one."""
        temporary = f"{TEMPORARY}{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(temporary, flags, 0o600, dir_fd=self._fd)
            with os.fdopen(fd, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(temporary, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            os.fsync(self._fd)
        except OSError as error:
            self._discard(temporary)
            raise Refused(self._unusable(name, error)) from None

    def overwrite(self, name: str, content: bytes, mode: int) -> None:
        """Change the file itself, which a container keeps open under the same name; made if it is missing.

        A reader may see too long an end for a moment, never a gap. A crash is for the caller's journal.
        """
        if self.stat(name) is None:
            self.write(name, content, mode)
            return
        try:
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        except PermissionError:  # its owner may not write a file of mode 0444, other than root
            self.set_mode(name, 0o600)
            fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)

    def remove(self, name: str) -> None:
        """Remove a file of our own, and be sure that it stays so after a crash."""
        os.unlink(name, dir_fd=self._fd)
        os.fsync(self._fd)

    def stat(self, name: str) -> os.stat_result | None:
        """The file's own status (not of what a symlink names), None when it is missing."""
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def set_mode(self, name: str, mode: int) -> None:
        """Fix the mode of a file that `read` has accepted."""
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        try:
            os.fchmod(fd, mode)
        except OSError as error:
            raise Refused(self._unusable(name, error)) from None
        finally:
            os.close(fd)

    def clear_leftovers(self) -> None:
        """Remove what a killed run left half-written; only while the lock is held."""
        for name in os.listdir(self._fd):
            if name.startswith(TEMPORARY):
                os.unlink(name, dir_fd=self._fd)

    def _discard(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except OSError:
            return  # it was never made, or the disk does not answer: the next run clears it

    def tighten(self) -> bool:
        """Close the folder to group and world. True when it stood open."""
        mode = stat.S_IMODE(os.fstat(self._fd).st_mode)
        if mode != FOLDER_MODE:
            try:
                os.fchmod(self._fd, FOLDER_MODE)
            except OSError as error:
                raise Refused(_folder_problem(self.path, error)) from None
        return bool(mode & 0o077)

    @contextmanager
    def locked(self, limit: float = LOCK_LIMIT_SECONDS) -> Iterator[None]:
        """Hold the folder's lock; waits at most `limit` seconds for another mailctl. Raises Refused."""
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(LOCK_NAME, flags, 0o600, dir_fd=self._fd)
        except OSError as error:
            raise Refused(self._unusable(LOCK_NAME, error)) from None
        try:
            _wait_for_lock(fd, self.path / LOCK_NAME, limit)
            yield
        finally:
            os.close(fd)

    def _unusable(self, name: str, error: OSError) -> Problem:
        path = self.path / name
        if error.errno == errno.ELOOP:
            return Problem(
                field=name,
                value=str(path),
                wrong="is a symlink; mailctl neither reads nor writes secrets through one",
                fix=f"replace it by the file it names: rm {path} and copy the file there",
            )
        if error.errno == errno.EISDIR:
            return self._not_a_file(name)
        if error.errno not in (errno.EACCES, errno.EPERM):
            fix = f"make {self.path} usable and run the command again; nothing was lost"
            return Problem(name, f"cannot be used: {error.strerror}", fix, value=str(path))
        return Problem(
            field=name,
            value=str(path),
            wrong=f"cannot be used: {error.strerror}",
            fix=f"run as the owner of {self.path} (uid {os.fstat(self._fd).st_uid}, now uid {os.geteuid()})",
        )

    def _not_a_file(self, name: str) -> Problem:
        return Problem(
            field=name,
            value=str(self.path / name),
            wrong="is not a file; Docker makes a folder where it is told to mount a file that is missing",
            fix=f"docker compose down, then rmdir {self.path / name}",
        )


@contextmanager
def opened(path: Path, create: bool) -> Iterator[Store]:
    """The store at `path`, made with mode 0700 if `create`. Raises Refused if it is no folder."""
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(_folder_problem(path, error)) from None
    try:
        yield Store(path, fd)
    finally:
        os.close(fd)


def _wait_for_lock(fd: int, path: Path, limit: float) -> None:
    deadline, pause = time.monotonic() + limit, threading.Event()
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Refused(
                    Problem(
                        field="secrets",
                        value=str(path),
                        wrong=f"another mailctl has been changing the secrets for {limit:.0f} seconds",
                        fix="wait until it is done and run the command again",
                    )
                ) from None
            pause.wait(0.05)


def _folder_problem(path: Path, error: OSError) -> Problem:
    if path.is_symlink():
        wrong, fix = "is a symlink", "use a real folder; set SECRETS_DIR in .env if it lies elsewhere"
    elif isinstance(error, FileNotFoundError):
        wrong, fix = "does not exist", "make setup"
    elif isinstance(error, (FileExistsError, NotADirectoryError)):
        wrong, fix = "is not a folder", f"move it away: mv {path} {path}.old"
    else:
        wrong, fix = (
            f"cannot be used: {error.strerror}",
            f"run as the owner of {path}, or chown it to yourself",
        )
    return Problem(field="secrets folder", value=str(path), wrong=wrong, fix=fix)
