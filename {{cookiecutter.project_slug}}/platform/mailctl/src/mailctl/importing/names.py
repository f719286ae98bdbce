"""Which folder here a folder elsewhere goes into."""

import base64
import binascii
import re
from typing import NamedTuple

from mailctl.backup.restore.stored import utf7

# What a server says a folder is for (RFC 6154), and the folder here that is for the same.
ROLES = {"sent": "Sent", "drafts": "Drafts", "trash": "Trash", "junk": "Junk", "archive": "Archive"}
ALL = "all"
# Gmail's views of mails that are in other folders.
VIEWS = frozenset({"flagged", "important"})
# The usual names where a server or file says nothing.
COMMON = {
    **{name.lower(): name for name in ROLES.values()},
    **dict.fromkeys(("sent items", "sent messages", "sent mail", "送信済みトレイ", "送信済みメール"), "Sent"),
    **dict.fromkeys(("draft", "下書き"), "Drafts"),
    **dict.fromkeys(("deleted items", "deleted messages", "ごみ箱", "ゴミ箱"), "Trash"),
    **dict.fromkeys(("junk e-mail", "junk email", "spam", "bulk mail", "迷惑メール"), "Junk"),
    **dict.fromkeys(("archives", "archived", "アーカイブ"), "Archive"),
}
# In front of all folders of some servers: Courier and Cyrus, Gmail.
_PREFIX = re.compile(r"^(?:INBOX/(?=.)|\[(?:Gmail|Google Mail)\]/(?=.))", re.IGNORECASE)
_IMPOSSIBLE = re.compile(r"[.\x00-\x1f\x7f]|^~")
# Of a name in modified UTF-7: its Maildir has a dot in front.
LONGEST = 254


class Place(NamedTuple):
    """The folder here, levels apart by slashes; empty where no name can hold it."""

    name: str
    renamed: bool


def place(name: str, role: str = "") -> Place:
    """Where a folder goes, whose name has slashes between its levels; `renamed`: Dovecot cannot hold it."""
    if name.upper() == "INBOX":
        return Place("INBOX", False)
    if role == ALL:
        return Place(ROLES["archive"], False)
    if role in ROLES:
        return Place(ROLES[role], False)
    bare = _PREFIX.sub("", name)
    if known := COMMON.get(bare.lower()):
        return Place(known, False)
    if bare.upper() == "INBOX":
        return Place("INBOX", False)
    levels = [_IMPOSSIBLE.sub("_", level) or "_" for level in bare.split("/")]
    held = "/".join(levels)
    return Place("" if len(utf7(held)) > LONGEST else held, held != bare)


def from_utf7(name: str) -> str:
    """What IMAP's name stands for; a name that is none, as programs with bugs make them, stays as it is."""

    def decode(found: re.Match[str]) -> str:
        if not found[1]:
            return "&"
        padded = found[1].replace(",", "/") + "=" * (-len(found[1]) % 4)
        try:
            return base64.b64decode(padded, validate=True).decode("utf-16-be")
        except (binascii.Error, UnicodeDecodeError):
            return found[0]

    return re.sub(r"&([^-&]*)-", decode, name)
