"""Reads mailboxes by IMAP without a password, and never holds a mail in memory to compare it."""

import hashlib
import imaplib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from mailctl.core.containers import output
from mailctl.core.errors import Problem, Refused

BATCH, CHUNK = 1000, 1 << 20
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (?P<name>.+)')
_FETCHED = re.compile(
    rb'UID (?P<uid>\d+) FLAGS \((?P<flags>[^)]*)\) INTERNALDATE "(?P<date>[^"]+)" RFC822\.SIZE (?P<size>\d+)'
)


class Shown(NamedTuple):
    """One mail as a program sees it: size in bytes, seconds since 1970, its SHA-256 if it was read."""

    uid: int
    flags: frozenset[str]
    received: int
    size: int
    digest: str = ""


class Session(imaplib.IMAP4_stream):
    """A session that keeps the SHA-256 of a mail in its place while `hashing`: a mail may be of any size."""

    hashing = False

    def read(self, size: int) -> bytes:
        """A literal of `size` bytes, or the digest of it."""
        if not self.hashing:
            return super().read(size)
        digest = hashlib.sha256()
        while size:
            chunk = super().read(min(size, CHUNK))
            if not chunk:
                raise self.abort("the server ended in the middle of a mail")
            digest.update(chunk)
            size -= len(chunk)
        return digest.hexdigest().encode()


class Mailbox:
    """One user's mailbox on a running Dovecot. Names of folders are as IMAP writes them (modified UTF-7)."""

    def __init__(self, connection: Session, address: str) -> None:
        self._imap, self.address = connection, address

    def folders(self) -> list[str]:
        """Every folder that can be opened."""
        return self._names(self._imap.list('""', "*"), "LIST")

    def subscribed(self) -> list[str]:
        """The folders that mail programs show, some of which may no longer exist."""
        return self._names(self._imap.lsub('""', "*"), "LSUB")

    def count(self, folder: str) -> int:
        """How many mails a folder has; the folder is open after that, and nothing in it is changed."""
        return int(self._ok(self._imap.select(_quoted(folder), readonly=True), f"EXAMINE {folder}")[0])

    @property
    def validity(self) -> int:
        """UIDVALIDITY of the folder that is open: with another one, programs fetch all of it again."""
        return int(self._imap.response("UIDVALIDITY")[1][0] or 0)

    def mails(self, folder: str, uids: Sequence[int] | None = None, read: bool = False) -> Iterator[Shown]:
        """Every mail of a folder, or those with these UIDs, with `read` its digest too. Marks nothing."""
        total = self.count(folder)
        what = f"(UID FLAGS INTERNALDATE RFC822.SIZE{' BODY.PEEK[]' if read else ''})"
        for start in range(0, total if uids is None else len(uids), BATCH):
            self._imap.hashing = read
            try:
                if uids is None:
                    answer = self._imap.fetch(f"{start + 1}:{min(start + BATCH, total)}", what)
                else:
                    chosen = ",".join(map(str, uids[start : start + BATCH]))
                    answer = self._imap.uid("FETCH", chosen, what)
            finally:
                self._imap.hashing = False
            for part in self._ok(answer, f"FETCH in {folder}"):
                head, digest = part if isinstance(part, tuple) else (part or b"", b"")
                if found := _FETCHED.search(head):
                    yield _shown(found, digest.decode())

    def digests(self, folder: str, uids: Sequence[int] | None = None) -> Counter[str]:
        """The SHA-256 of each of these mails."""
        return Counter(mail.digest for mail in self.mails(folder, uids, read=True))

    def ensure(self, folders: Iterable[str]) -> list[str]:
        """Make those folders that are not there; returns their names."""
        made = sorted(set(folders) - {"INBOX", *self.folders()})
        for folder in made:
            self._ok(self._imap.create(_quoted(folder)), f"CREATE {folder}")
        return made

    def subscribe(self, folders: Iterable[str]) -> None:
        """Have mail programs show these folders; Dovecot leaves out what does not exist."""
        for folder in folders:
            self._imap.subscribe(_quoted(folder))

    def _names(self, answer: tuple[str, list[Any]], what: str) -> list[str]:
        names = []
        for line in self._ok(answer, what):
            head, literal = line if isinstance(line, tuple) else (line or b"", None)
            found = _LISTED.match(head)
            absent = {b"\\noselect", b"\\nonexistent"} if what == "LIST" else set()
            if found and not absent & set(found["flags"].lower().split()):
                names.append((_unquoted(found["name"]) if literal is None else literal).decode())
        return names

    def _ok(self, answer: tuple[str, list[Any]], what: str) -> list[Any]:
        status, data = answer
        if status == "OK":
            return data
        said = b" ".join(part for part in data if isinstance(part, bytes)).decode("utf-8", "replace")
        fix = "look at: make logs SERVICE=dovecot; then run the same command again"
        raise Refused(Problem(f"{self.address}: {what}", said or status, fix))


def stored_as(container: str, address: str) -> str:
    """The name that the mailbox of `address` has in snapshots: made of its folder, as Dovecot knows it.

    Raises Refused when it has no account.
    """
    try:
        home = output(container, "doveadm", "user", "-f", "home", address)
    except Refused as refusal:
        raise Refused(_no_account(address, refusal.problems[0].wrong)) from None
    domain, user = home.decode().strip().split("/")[-2:]
    return f"{user}@{domain}"


def scripts(container: str, address: str) -> dict[str, bool]:
    """The names of the sieve scripts, and whether each is the active one."""
    listed = output(container, "doveadm", "-f", "tab", "sieve", "list", "-u", address)
    rows = [line.split("\t") for line in listed.decode("utf-8", "replace").split("\n")[1:] if line]
    return {name: active == "ACTIVE" for name, active in rows}


@contextmanager
def opened(container: str, address: str) -> Iterator[Mailbox]:
    """The mailbox of `address` in the running Dovecot `container`. Raises Refused when it has no account."""
    command = ["docker", "exec", "--interactive", container, "doveadm", "exec", "imap", "-u", address]
    connection = None
    try:
        # What it logs is about its own end; it is the running server's log that matters.
        connection = Session(f"{shlex.join(command)} 2>/dev/null")
        yield Mailbox(connection, address)
    except (imaplib.IMAP4.error, OSError) as error:
        raise Refused(_no_account(address, f"cannot be read over IMAP: {error}")) from None
    finally:
        with suppress(imaplib.IMAP4.error, OSError):  # it has ended by itself
            if connection is not None:
                connection.logout()


def _shown(found: re.Match[bytes], digest: str) -> Shown:
    received = datetime.strptime(found["date"].decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()
    return Shown(int(found["uid"]), _flags(found["flags"]), int(received), int(found["size"]), digest)


@cache
def _flags(listed: bytes) -> frozenset[str]:
    return frozenset(listed.decode("utf-8", "replace").split()) - {"\\Recent"}


def _no_account(address: str, wrong: str) -> Problem:
    fix = "is there an active account of that name? Make it in usermgmt, or restore the component mysql"
    return Problem(address, wrong, fix)


def _quoted(folder: str) -> str:
    """A name as a quoted string (RFC 3501)."""
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(name: bytes) -> bytes:
    """A name as a server lists it: an atom, or a quoted string (RFC 3501)."""
    return re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name
