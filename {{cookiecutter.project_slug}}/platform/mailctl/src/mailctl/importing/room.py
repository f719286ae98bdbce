"""Room on the disk for an import: known, told and refused before anything is written."""

import imaplib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mailctl.backup.restore import stored
from mailctl.core import disks
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

# In the answer to STATUS the name, which may hold anything, comes before them.
_COUNT, _SIZE = (re.compile(rb".*\b%s (\d+)" % word, re.DOTALL) for word in (b"MESSAGES", b"SIZE"))


def need(context: Context, address: str, wanted: Mapping[Path, int]) -> None:
    """Say what an import will write where, in bytes. Raises Refused where new mail would lack the room."""
    disks.need(context, f"importing the mail of {address}", wanted, instead="")


def watched(
    context: Context, into: Path, text: str, tell: Callable[[str, int, int], None]
) -> Callable[[int, int], None]:
    """`tell`, which also looks at the disk: a source may hold more than it said, and other mail comes in.

    What it returns raises Refused as soon as the reserve is touched.
    """

    def told(number: int, total: int) -> None:
        if disks.left(context, into) < 0:
            fix = "make room there, or set RESERVE_GIB in .env, then run the same command again"
            raise Refused(Problem("disk", "has become too full while mail was fetched", fix, value=str(into)))
        tell(text, number, total)

    return told


def measured(imap: imaplib.IMAP4, name: str) -> tuple[int | None, int]:
    """How many mails and bytes a folder has, None if it cannot be read.

    Of a server that does not add them up (RFC 8438) the sizes are asked for mail by mail.
    """
    adds_up = "STATUS=SIZE" in imap.capabilities
    status, data = imap.status(name, "(MESSAGES SIZE)" if adds_up else "(MESSAGES)")
    answer = data[0] if status == "OK" and isinstance(data[0], bytes) else b""
    total = _number(_COUNT, answer)
    if adds_up or not total:
        return total, _number(_SIZE, answer) or 0
    if imap.select(name, readonly=True)[0] != "OK":
        return None, 0
    rows = imap.fetch("1:*", "(RFC822.SIZE)")[1]
    return total, sum(_number(_SIZE, row) or 0 for row in rows if isinstance(row, bytes))


def _number(pattern: re.Pattern[bytes], text: bytes) -> int | None:
    found = pattern.match(text)
    return int(found[1]) if found else None


def to_fetch(into: Path, mails: int, bytes: int) -> int:
    """The bytes on the disk that so many mails take, of so many bytes, without what is in `into` already."""
    here = [mail for maildir in stored.folders(into).values() for mail in stored.mails(maildir)]
    lacking = max(0, bytes - sum(mail.size for mail in here))
    return lacking + max(0, mails - len(here)) * disks.on_disk(1)
