"""Names of folders on their way to Dovecot and back: IMAP quotes them, escapes them or counts their bytes."""

import hashlib
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.backup.restore.imap import Mailbox, Session
from mailctl.backup.restore.stored import shown

#: A quoted string of RFC 3501: only these two characters are escaped, and only they need it.
QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
#: What a name holds on the wire: printable ASCII, since all else is written in modified UTF-7.
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1).filter(
    lambda name: name.upper() != "INBOX"
)


def escaped(name: bytes) -> bytes:
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", name) + b'"'


def counted(name: bytes) -> bytes:
    return b"{%d}\r\n%s" % (len(name), name)


class Server(Session):
    """A session with a server that makes folders, lists and opens them; `written` is its form of a name."""

    def __init__(self, written: Callable[[bytes], bytes]) -> None:
        self.written, self.made = written, list[bytes]()
        self.answers = b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n"
        super().__init__("")

    def open(self, *_: object, **__: object) -> None:
        """Nothing to connect to."""

    shutdown = open

    def send(self, data: bytes) -> None:
        tag, verb, rest = (*data.rstrip(b"\r\n").split(b" ", 2), b"")[:3]
        lines = [*self._untagged(verb, rest), tag + b" OK done"]
        self.answers += b"".join(line + b"\r\n" for line in lines)

    def _untagged(self, verb: bytes, rest: bytes) -> list[bytes]:
        if verb == b"CAPABILITY":
            return [b"* CAPABILITY IMAP4rev1"]
        if verb == b"LIST":
            return [b'* LIST (\\HasNoChildren) "/" %s' % self.written(name) for name in self.made]
        found = QUOTED.fullmatch(rest)
        assert found, rest
        name = re.sub(rb"\\(.)", rb"\1", found[1])
        if verb == b"CREATE":
            self.made.append(name)
        assert name in self.made
        return [b"* 7 EXISTS"] if verb == b"EXAMINE" else []

    def readline(self) -> bytes:
        return self.read(self.answers.index(b"\n") + 1)

    def read(self, size: int) -> bytes:
        read, self.answers = self.answers[:size], self.answers[size:]
        return read


@pytest.mark.parametrize("written", [escaped, counted])
@given(names=st.lists(NAMES, max_size=5, unique=True))
def test_every_folder_is_found_and_opened_under_the_name_it_was_made_with(
    written: Callable[[bytes], bytes], names: list[str]
) -> None:
    box = Mailbox(Server(written), "me@example.com")
    assert box.ensure(names) == sorted(names)
    assert box.folders() == sorted(names)
    assert [box.count(name) for name in names] == [7] * len(names)


class Prepared(Session):
    """A session whose tags are known beforehand, so that its server is a file."""

    tagpre = property(lambda self: b"T", lambda self, _: None)


GREETING = b"* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n"
LARGE = b"Subject: large\r\n\r\n" + b"x" * (24 << 20)
CAPABILITY = b"* CAPABILITY IMAP4rev1\r\nT0 OK done\r\n"
OPENED = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 5] fine\r\nT1 OK done\r\n"
HEAD = (
    rb'* 1 FETCH (UID 9 FLAGS (\Seen \Recent work) INTERNALDATE "26-Nov-2026 10:00:00 +0100" RFC822.SIZE %d'
)
FETCHED = HEAD % len(LARGE) + b" BODY[] {%d}\r\n%s)\r\nT2 OK done\r\n" % (len(LARGE), LARGE)


def test_a_mail_of_any_size_is_compared_in_a_few_megabytes(tmp_path: Path) -> None:
    (tmp_path / "answers").write_bytes(GREETING + CAPABILITY + OPENED + FETCHED)
    box = Mailbox(Prepared(f"cat {tmp_path}/answers -"), "me@example.com")
    tracemalloc.start()
    [mail] = box.mails("INBOX", read=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mail == (9, {"\\Seen", "work"}, 1795683600, len(LARGE), hashlib.sha256(LARGE).hexdigest())
    assert box.validity == 5 and peak < 8 << 20


@given(st.lists(st.text("\r\n\0ab").map(str.encode)))
def test_a_mail_read_in_pieces_is_shown_as_when_it_is_read_at_once(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    befores = [b"".join(pieces[:n])[-1:] for n in range(len(pieces))]
    assert b"".join(map(shown, pieces, befores)) == shown(whole)
