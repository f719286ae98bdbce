"""One person's data as a tar file: mail as a Maildir byte for byte, the account as JSON and as text."""

import io
import json
import os
import shutil
import stat
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from mailctl.core import placement
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import plain, size
from mailctl.core.homes import is_there
from mailctl.core.runtime import Runtime
from mailctl.person.rows import Known

# Mail that a mail program moves or flags meanwhile has another name: it is looked for so often.
PASSES = 20
# Of the disk, what an archive leaves free.
RESERVE = 0.05
README = Path(__file__).with_name("read_me_first.txt")
# What Dovecot makes again from the rest.
CACHE, SEARCH_INDEX, MAIL = "dovecot.index.cache", "fts-flatcurve", ("cur", "new")


class Archive:
    """The tar at `path`, which is there as a whole or not at all; all lies below `top`."""

    def __init__(self, path: Path, top: str) -> None:
        self.path, self.top = path, top
        self.mails = self.bytes = 0
        self.partial = path.with_name(f"{path.name}.partial")

    def __enter__(self) -> "Archive":
        if self.path.exists():
            raise Refused(Problem("--out", "is there already", "name another file", value=str(self.path)))
        self.partial.unlink(missing_ok=True)
        fd = os.open(self.partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self.file = os.fdopen(fd, "wb")
        self.tar = tarfile.open(fileobj=self.file, mode="w", format=tarfile.PAX_FORMAT)
        return self

    def __exit__(self, kind: object, *_rest: object) -> None:
        if kind is None:
            self.tar.close()
            self.file.flush()
            os.fsync(self.file.fileno())
        self.file.close()
        if kind is None:
            self.partial.rename(self.path)
        else:
            self.partial.unlink()

    def text(self, name: str, content: str) -> None:
        """A file that is made here."""
        raw = content.encode()
        self._add(name, io.BytesIO(raw), len(raw), time.time())

    def home(self, root: Path, home: str) -> None:
        """A mailbox while it is in use. Raises Refused: its mails are moved faster than they can be read."""
        seen: set[tuple[str, str]] = set()
        for _ in range(PASSES):
            before, missed = len(seen), 0
            for folder, names, fd in _folders(root / home):
                for name in names:
                    if (key := _lasting(folder, name)) in seen:
                        continue
                    try:
                        self._entry(os.path.join(folder, name), name, fd)
                        seen.add(key)
                    except FileNotFoundError:
                        missed += 1
            if len(seen) == before and not missed:
                return
        raise Refused(Problem("mail", "keeps moving while it is read", "run the command again", value=home))

    def _entry(self, path: str, name: str, folder: int) -> None:
        """A file of a mailbox, or a link (sieve's active script), which is not followed."""
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISLNK(found.st_mode):
            entry = self._named(path, found.st_mtime)
            entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=folder)
            self.tar.addfile(entry)
        elif stat.S_ISREG(found.st_mode):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, "rb") as file:
                length = os.fstat(fd).st_size
                self._add(path, file, length, found.st_mtime)
            self.mails += os.path.basename(os.path.dirname(path)) in MAIL
            self.bytes += length

    def _add(self, name: str, file: IO[bytes], length: int, at: float) -> None:
        entry = self._named(name, at)
        entry.size = length
        self.tar.addfile(entry, file)

    def _named(self, name: str, at: float) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(f"{self.top}/{name}")
        entry.mode, entry.mtime = 0o600, at
        return entry


def size_of(home: Path) -> int:
    """Bytes of a mailbox; of mail that is moved meanwhile, about."""
    total = 0
    for _, names, fd in _folders(home):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(name, dir_fd=fd, follow_symlinks=False).st_size
    return total


def room(path: Path, needed: int) -> None:
    """Raises Refused when the archive would fill the disk that it goes to."""
    folder = path.parent
    disk = shutil.disk_usage(folder)
    if needed + RESERVE * disk.total > disk.free:
        wrong = f"needs {size(needed)}, and {size(disk.free)} are free"
        raise Refused(Problem("--out", wrong, "name a file on another disk", value=str(folder)))


def tables(known: Known) -> str:
    """The rows for people: one value a line."""
    parts = []
    for table, rows in known.tables.items():
        parts += [f"\n{table}\n{'=' * len(table)}\n"]
        parts += ["".join(f"{name}: {_shown(value)}\n" for name, value in row.items()) + "\n" for row in rows]
    return "".join(parts)


def log_lines(server: Runtime, address: str) -> Iterator[str]:
    """The lines of all services that name an address, read piece by piece: logs are large."""
    for name, found in server.running().items():
        rest = b""
        for chunk in server.engine.log(found.id, timestamps=True, stream=True, follow=False):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                if address.encode() in line.lower():
                    yield f"{name} {plain(line.decode('utf-8', 'replace'))}\n"


def write(
    archive: Archive, known: Known, root: Path, server: Runtime, calendars: Iterable[tuple[str, str]] = ()
) -> None:
    """All of it, the mail first; `calendars`: the path and the text of each event and contact."""
    here = placement.held(server.context) if known.account else None
    for home in known.homes[:1]:
        volume = here.homes.get(home, "") if here else ""
        if is_there(root / volume, home):
            archive.home(root / volume, home)
    account = {name: rows for name, rows in known.tables.items() if rows}
    archive.text("account.json", json.dumps(account, indent=1, ensure_ascii=False) + "\n")
    archive.text("account.txt", tables(known))
    for path, text in calendars:
        archive.text(f"calendars/{path}", text)
    archive.text("log-lines.txt", "".join(log_lines(server, archive.top)))
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    archive.text("README.txt", README.read_text("utf-8").format(address=archive.top, now=now))


def _folders(home: Path) -> Iterator[tuple[str, list[str], int]]:
    """Each folder of a mailbox as a path from its top, its files, and a descriptor; no link is followed."""
    for folder, below, names, fd in os.fwalk(home, onerror=_unless_gone):
        links = [name for name in below if os.path.islink(os.path.join(folder, name))]
        below[:] = [name for name in below if name not in ("tmp", SEARCH_INDEX, *links)]
        kept = [name for name in names + links if name != CACHE and not name.endswith(".lock")]
        path = os.path.relpath(folder, home)
        yield "" if path == "." else path, kept, fd


def _unless_gone(error: OSError) -> None:
    """A folder that was deleted meanwhile is none; one that cannot be read must not be left out."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _lasting(folder: str, name: str) -> tuple[str, str]:
    """What stays the same of a mail while it becomes read or gets a flag."""
    outer, _, last = folder.rpartition("/")
    return (outer, name.partition(":2,")[0]) if last in MAIL else (folder, name)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
