"""Reads and writes mailboxes by IMAP without a password, and knows what a Maildir should show there."""

import hashlib
import imaplib
import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mailctl.core.containers import output
from mailctl.core.errors import Problem, Refused

BATCH = 50
_LISTED = re.compile(rb'\((?P<flags>[^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (?P<name>.+)')
_SIZE = re.compile(r",W=(\d+)")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_FETCHED_SIZE = re.compile(rb"UID (?P<uid>\d+) RFC822\.SIZE (?P<size>\d+)")
_SYSTEM_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


@dataclass(frozen=True)
class Mail:
    """One file of a Maildir: what IMAP shows of it."""

    path: Path
    flags: tuple[str, ...]

    @property
    def content(self) -> bytes:
        return shown(self.path.read_bytes())

    @cached_property
    def size(self) -> int:
        """Bytes as IMAP counts them; Dovecot writes that number into the names of its files (`,W=`)."""
        found = _SIZE.search(self.path.name)
        return int(found[1]) if found else len(self.content)

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def received(self) -> datetime:
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)


def shown(stored: bytes) -> bytes:
    """A stored mail as Dovecot sends it: lines end with CRLF, and NUL, which IMAP cannot carry, is 0x80."""
    return _BARE_LINE_FEED.sub(b"\r\n", stored).replace(b"\0", b"\x80")


def folders(mailbox: Path) -> dict[str, Path]:
    """IMAP folder name → Maildir, of a mailbox in a snapshot or on the disk (Maildir++)."""
    root = mailbox / "mail"
    below = sorted(path for path in root.glob(".*") if (path / "cur").is_dir())
    inbox = {"INBOX": root} if (root / "cur").is_dir() else {}
    return inbox | {path.name[1:].replace(".", "/"): path for path in below}


def mails(maildir: Path) -> Iterator[Mail]:
    """The mails of one folder, in the order of their names."""
    keywords = _keywords(maildir)
    for path in sorted([*maildir.glob("cur/*"), *maildir.glob("new/*")]):
        letters = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
        flags = [_SYSTEM_FLAGS.get(c) or keywords.get(c) for c in letters]
        yield Mail(path, tuple(flag for flag in flags if flag))


def _keywords(maildir: Path) -> dict[str, str]:
    """dovecot-keywords names the letters a, b, … that stand in file names: `0 $Forwarded`."""
    file = maildir / "dovecot-keywords"
    rows = [line.split(" ", 1) for line in file.read_text("utf-8").splitlines()] if file.exists() else []
    return {chr(ord("a") + int(row[0])): row[1] for row in rows if len(row) == 2 and row[0].isdigit()}


class Mailbox:
    """One user's mailbox on a running Dovecot."""

    def __init__(self, connection: imaplib.IMAP4, address: str) -> None:
        self._imap, self.address = connection, address

    def folders(self) -> list[str]:
        """Every folder that can be opened, by its IMAP name."""
        names = []
        for line in self._ok(self._imap.list('""', "*"), "LIST"):
            head, literal = line if isinstance(line, tuple) else (line or b"", None)
            found = _LISTED.match(head)
            if found and not {b"\\noselect", b"\\nonexistent"} & set(found["flags"].lower().split()):
                names.append((_unquoted(found["name"]) if literal is None else literal).decode())
        return names

    def count(self, folder: str) -> int:
        """How many mails a folder has; the folder is open after that, and nothing in it is changed."""
        return int(self._ok(self._imap.select(_quoted(folder), readonly=True), f"EXAMINE {folder}")[0])

    def sizes(self, folder: str) -> dict[int, int]:
        """UID → size in bytes of every mail of a folder, in its order."""
        if not self.count(folder):
            return {}
        parts = self._ok(self._imap.uid("FETCH", "1:*", "(RFC822.SIZE)"), f"FETCH in {folder}")
        found = [_FETCHED_SIZE.search(part) for part in parts if isinstance(part, bytes)]
        return {int(one["uid"]): int(one["size"]) for one in found if one}

    def contents(self, folder: str, uids: Sequence[int] | None = None) -> Iterator[bytes]:
        """Every mail of a folder, or those with these UIDs. Nothing is marked as read."""
        wanted = list(self.sizes(folder)) if uids is None else uids
        for start in range(0, len(wanted), BATCH):
            batch = ",".join(map(str, wanted[start : start + BATCH]))
            parts = self._ok(self._imap.uid("FETCH", batch, "(BODY.PEEK[])"), f"FETCH in {folder}")
            yield from (part[1] for part in parts if isinstance(part, tuple))

    def digests(self, folder: str, uids: Sequence[int] | None = None) -> Counter[str]:
        """The SHA-256 of each of these mails."""
        return Counter(hashlib.sha256(content).hexdigest() for content in self.contents(folder, uids))

    def add(self, folder: str, mail: Mail) -> None:
        """Append a mail with its flags and date. Raises Refused, as over quota."""
        flags = f"({' '.join(mail.flags)})" if mail.flags else "()"
        date = f'"{mail.received:%d-%b-%Y %H:%M:%S} +0000"'
        self._ok(self._imap.append(_quoted(folder), flags, date, mail.content), f"APPEND to {folder}")

    def ensure(self, folder: str) -> None:
        """Make the folder and subscribe to it, unless it is there."""
        if folder != "INBOX" and folder not in self.folders():
            self._ok(self._imap.create(_quoted(folder)), f"CREATE {folder}")
            self._imap.subscribe(_quoted(folder))

    def _ok(self, answer: tuple[str, list[Any]], what: str) -> list[Any]:
        status, data = answer
        if status == "OK":
            return data
        said = b" ".join(part for part in data if isinstance(part, bytes)).decode("utf-8", "replace")
        fix = (
            "raise the mailbox's quota in usermgmt"
            if "OVERQUOTA" in said
            else "look at: make logs SERVICE=dovecot"
        )
        raise Refused(
            Problem(f"{self.address}: {what}", said or status, f"{fix}; then run the same command again")
        )


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


@contextmanager
def opened(container: str, address: str) -> Iterator[Mailbox]:
    """The mailbox of `address` in the running Dovecot `container`. Raises Refused when it has no account."""
    command = ["docker", "exec", "--interactive", container, "doveadm", "exec", "imap", "-u", address]
    connection = None
    try:
        # What it logs is about its own end; it is the running server's log that matters.
        connection = imaplib.IMAP4_stream(f"{shlex.join(command)} 2>/dev/null")
        yield Mailbox(connection, address)
    except (imaplib.IMAP4.error, OSError) as error:
        raise Refused(_no_account(address, f"cannot be read over IMAP: {error}")) from None
    finally:
        if connection is not None:
            _close(connection)


def _no_account(address: str, wrong: str) -> Problem:
    fix = "is there an active account of that name? Make it in usermgmt, or restore the component mysql"
    return Problem(address, wrong, fix)


def _close(connection: imaplib.IMAP4) -> None:
    try:
        connection.logout()
    except (imaplib.IMAP4.error, OSError):
        return  # it has ended by itself


def _quoted(folder: str) -> str:
    """A name as a quoted string (RFC 3501)."""
    escaped = folder.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _unquoted(name: bytes) -> bytes:
    """A name as a server lists it: an atom, or a quoted string (RFC 3501)."""
    return re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name


def utf7(name: str) -> str:
    """A folder's name as IMAP writes it (RFC 3501, modified UTF-7)."""
    import base64

    def encode(found: re.Match[str]) -> str:
        text = base64.b64encode(found[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",").decode()
        return f"&{text}-"

    return re.sub(r"[^\x20-\x7e]+", encode, name.replace("&", "&-"))
