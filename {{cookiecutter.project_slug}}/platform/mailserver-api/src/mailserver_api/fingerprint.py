"""The key by which a message is recognized when it comes again.

It is a SHA-256 over envelope and message. A sender that retries reaches us through the same relays again, and
each of them adds trace fields with a new time. So those fields are left out, wherever they stand, if the
message also carries one Message-ID and one Date: two messages alike in all the rest are one message. Without
both of these, two equal alarms of a simple script would look alike, so every byte counts.
"""

import hashlib
import re

from mailserver_api.addresses import Envelope

MAX_HEADER_BYTES = 256 * 1024
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_FIELD_BREAK = re.compile(rb"\r?\n(?![ \t])")
_TRACE_FIELDS = frozenset(
    {
        b"authentication-results",
        b"delivered-to",
        b"dkim-signature",
        b"received",
        b"received-spf",
        b"return-path",
        b"x-received",
    }
)
_TRACE_PREFIXES = (b"arc-", b"x-cf-")


class Fingerprint:
    """Fed with a message chunk by chunk; holds at most the header in memory. `message_id` is for logs."""

    def __init__(self, envelope: Envelope) -> None:
        addresses = "\0".join((envelope.sender, envelope.recipient, "")).encode()
        self._every_byte = hashlib.sha256(b"every byte\0" + addresses)
        self._without_trace = hashlib.sha256(b"without trace\0" + addresses)
        self._header: bytearray | None = bytearray()
        self._is_identified = False
        self.message_id: str | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the message."""
        self._every_byte.update(chunk)
        if self._header is None:
            if self._is_identified:
                self._without_trace.update(chunk)
            return
        start = max(0, len(self._header) - 2)
        self._header += chunk
        end = _END_OF_HEADER.search(self._header, start)
        if end:
            self._finish_header(end.end())
        elif len(self._header) > MAX_HEADER_BYTES:
            self._header = None

    def key(self) -> str:
        """64 hexadecimal digits; call it once, after the last chunk."""
        if self._header is not None:
            self._finish_header(len(self._header))
        return (self._without_trace if self._is_identified else self._every_byte).hexdigest()

    def _finish_header(self, end: int) -> None:
        if self._header is None:
            return
        header, body = bytes(self._header[:end]), bytes(self._header[end:])
        self._header = None
        if len(header) > MAX_HEADER_BYTES:
            return
        fields = [(_name(field), field) for field in _FIELD_BREAK.split(header)]
        names = [name for name, _ in fields]
        self._is_identified = names.count(b"message-id") == 1 and names.count(b"date") == 1
        for name, field in fields:
            if name == b"message-id":
                self.message_id = field.partition(b":")[2].strip().decode("ascii", "replace")[:250]
            if name not in _TRACE_FIELDS and not name.startswith(_TRACE_PREFIXES):
                self._without_trace.update(b"%d:%b" % (len(field), field))
        self._without_trace.update(b"body:" + body)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()
