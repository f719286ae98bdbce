"""What a mailbox on disk holds, read from its Maildir: what IMAP has to show of it once it is restored."""

import base64
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path

from mailctl.backup.beside import KEYWORDS, LETTERS
from mailctl.backup.restore import index
from mailctl.backup.restore.stage import CHUNK, UIDLIST, with_gap

_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_SIZE = re.compile(r",W=(\d+)")
_VALIDITY = re.compile(rb"3 (?:\S+ )*?V(\d+)")
_SYSTEM_FLAGS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}


@dataclass(frozen=True, slots=True)
class Mail:
    """One file: `name` counts from the Maildir; `uid` is None for a mail that came after the list of UIDs."""

    maildir: Path
    name: str
    flags: frozenset[str]
    uid: int | None

    @property
    def path(self) -> Path:
        return self.maildir / self.name

    @property
    def size(self) -> int:
        """Bytes as IMAP counts them; Dovecot writes that number into the names of its files (`,W=`)."""
        found = _SIZE.search(self.name)
        return int(found[1]) if found else sum(map(len, pieces(self.path)))

    @property
    def digest(self) -> str:
        """The SHA-256 of what IMAP sends; read anew each time, in pieces."""
        digest = hashlib.sha256()
        for piece in pieces(self.path):
            digest.update(piece)
        return digest.hexdigest()

    @property
    def received(self) -> int:
        """Seconds since 1970."""
        return int(self.path.stat().st_mtime)


@dataclass(frozen=True)
class Folder:
    """A Maildir: UIDVALIDITY, None if a restore changes it; the keywords that file names have letters for.

    `in_index`: of a folder with more than these, the keywords of each mail by its UID.
    """

    maildir: Path
    validity: int | None
    keywords: frozenset[str]
    in_index: dict[int, frozenset[str]]

    @property
    def full(self) -> bool:
        """Whether mails may have further keywords, which are in Dovecot's index only."""
        return len(self.keywords) >= LETTERS


def folders(mailbox: Path) -> dict[str, Path]:
    """IMAP folder name → Maildir, of a mailbox in a snapshot or on the disk (Maildir++)."""
    root = mailbox / "mail"
    below = sorted(path for path in root.glob(".*") if (path / "cur").is_dir())
    inbox = {"INBOX": root} if (root / "cur").is_dir() else {}
    return inbox | {path.name[1:].replace(".", "/"): path for path in below}


def folder(maildir: Path) -> Folder:
    content = _content(maildir / UIDLIST)
    found = _VALIDITY.match(content) if with_gap(content) else None
    letters = frozenset(_letters(maildir).values())
    in_index = index.keywords(maildir) if len(letters) >= LETTERS else {}
    return Folder(maildir, int(found[1]) if found else None, letters, in_index)


def mails(maildir: Path) -> Iterator[Mail]:
    """The mails of one folder, in the order of their names."""
    keywords, uids = _letters(maildir), _uids(maildir)

    @cache
    def flags(letters: str) -> frozenset[str]:
        return frozenset(filter(None, (_SYSTEM_FLAGS.get(c) or keywords.get(c) for c in letters)))

    for part in ("cur", "new"):
        for name in sorted(os.listdir(maildir / part)) if (maildir / part).is_dir() else ():
            base, _, letters = name.partition(":2,")
            # Taken out, so that memory holds each name once.
            yield Mail(maildir, f"{part}/{name}", flags(letters), uids.pop(base, None))


def subscriptions(mailbox: Path) -> list[str]:
    """The subscribed folders, which need not exist: one a line, with tabs between levels since version 2."""
    lines = _content(mailbox / "mail" / "subscriptions").decode("utf-8", "replace").split("\n")
    if lines[0].startswith("V\t"):
        lines = [line.replace("\t", "/") for line in lines[1:]]
    return [line for line in lines if line]


def scripts(mailbox: Path) -> tuple[dict[str, bytes], str]:
    """The sieve scripts by name, and the name of the active one, or nothing."""
    active = mailbox / ".dovecot.sieve"
    name = Path(os.readlink(active)).stem if active.is_symlink() else ""
    return {path.stem: path.read_bytes() for path in sorted(mailbox.glob("sieve/*.sieve"))}, name


def shown(stored: bytes, after: bytes = b"") -> bytes:
    """A piece of a stored mail, which follows the byte `after`, as Dovecot sends it.

    Lines end with CRLF, and NUL, which IMAP cannot carry, is 0x80.
    """
    before = b"\r" if after == b"\r" else b""
    return _BARE_LINE_FEED.sub(b"\r\n", before + stored)[len(before) :].replace(b"\0", b"\x80")


def utf7(name: str) -> str:
    """A folder's name as IMAP writes it (RFC 3501, modified UTF-7)."""

    def encode(found: re.Match[str]) -> str:
        text = base64.b64encode(found[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",").decode()
        return f"&{text}-"

    return re.sub(r"[^\x20-\x7e]+", encode, name.replace("&", "&-"))


def pieces(path: Path) -> Iterator[bytes]:
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield shown(chunk, last)
            last = chunk[-1:]


def _letters(maildir: Path) -> dict[str, str]:
    """dovecot-keywords names the letters a, b, … that stand in file names: `0 $Forwarded`."""
    lines = _content(maildir / KEYWORDS).decode("utf-8", "replace").splitlines()
    rows = [line.split(" ", 1) for line in lines]
    return {chr(ord("a") + int(row[0])): row[1] for row in rows if len(row) == 2 and row[0].isdigit()}


def _uids(maildir: Path) -> dict[str, int]:
    """dovecot-uidlist has a line for each mail: `17 :1700000000.M1P1.host`."""
    lines = islice(BytesIO(_content(maildir / UIDLIST)), 1, None)
    rows = (line.rstrip(b"\n").partition(b" :") for line in lines)
    return {
        os.fsdecode(name.partition(b":")[0]): int(number.split(b" ")[0])
        for number, colon, name in rows
        if colon and number.split(b" ")[0].isdigit()
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
