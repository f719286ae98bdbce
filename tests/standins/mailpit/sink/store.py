"""The received messages, newest last, in memory, in the shapes of Mailpit's API."""

from __future__ import annotations

import hashlib
import secrets
import string
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from functools import cached_property
from typing import Any, cast

_ALPHABET = string.ascii_letters + string.digits
_SNIPPET_CHARACTERS = 250


@dataclass
class Stored:
    """One message as it was received, and who sent it."""

    raw: bytes
    username: str = ""
    identifier: str = field(default_factory=lambda: "".join(secrets.choice(_ALPHABET) for _ in range(22)))
    received: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: bool = False

    @cached_property
    def parsed(self) -> EmailMessage:
        """The message with its headers and bodies decoded."""
        return cast(EmailMessage, message_from_bytes(self.raw, policy=policy.default))

    def addresses(self, header: str) -> list[dict[str, str]]:
        """A header's addresses as Mailpit shows them."""
        values = [str(value) for value in self.parsed.get_all(header, [])]
        return [{"Name": name, "Address": address} for name, address in getaddresses(values) if address]

    def body(self, kind: str) -> str:
        """The decoded text (``plain``) or ``html`` body, or nothing."""
        part = self.parsed.get_body(preferencelist=(kind,))
        if part is None:
            return ""
        try:
            return str(part.get_content())
        except LookupError:  # a character set that nobody knows
            return cast(bytes, part.get_payload(decode=True)).decode(errors="replace")

    def attachments(self) -> list[dict[str, Any]]:
        """What is attached, without the contents."""
        found = []
        for number, part in enumerate(self.parsed.iter_attachments(), start=1):
            content = part.get_payload(decode=True) or b""
            found.append(
                {
                    "PartID": str(number),
                    "FileName": part.get_filename() or "",
                    "ContentType": part.get_content_type(),
                    "ContentID": str(part.get("Content-ID", "")).strip("<>"),
                    "Size": len(content),
                    "Checksums": {"SHA256": hashlib.sha256(cast(bytes, content)).hexdigest()},
                }
            )
        return found

    def _common(self) -> dict[str, Any]:
        sender = self.addresses("From")
        return {
            "ID": self.identifier,
            "MessageID": str(self.parsed.get("Message-ID", "")).strip().strip("<>"),
            "From": sender[0] if sender else None,
            "To": self.addresses("To"),
            "Cc": self.addresses("Cc"),
            "Bcc": self.addresses("Bcc"),
            "ReplyTo": self.addresses("Reply-To"),
            "Subject": str(self.parsed.get("Subject", "")),
            "Username": self.username,
            "Tags": [],
            "Size": len(self.raw),
        }

    def summary(self) -> dict[str, Any]:
        """An entry of ``GET /api/v1/messages``."""
        text = " ".join(self.body("plain").split())
        return self._common() | {
            "Read": self.read,
            "Created": self.received.isoformat(),
            "Attachments": len(self.attachments()),
            "Snippet": text[:_SNIPPET_CHARACTERS],
        }

    def detail(self) -> dict[str, Any]:
        """The answer of ``GET /api/v1/message/{ID}``."""
        date = self.parsed.get("Date")
        sent = getattr(date, "datetime", None) or self.received
        return self._common() | {
            "ReturnPath": str(self.parsed.get("Return-Path", "")).strip("<>"),
            "Date": sent.isoformat(),
            "Text": self.body("plain"),
            "HTML": self.body("html"),
            "Inline": [],
            "Attachments": self.attachments(),
        }


class Store:
    """A bounded, thread-safe list of messages: the oldest goes when it is full."""

    def __init__(self, limit: int) -> None:
        """Keep at most ``limit`` messages; 0 keeps all."""
        self._limit = limit
        self._messages: OrderedDict[str, Stored] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, message: Stored) -> None:
        """Keep a message as the newest."""
        with self._lock:
            self._messages[message.identifier] = message
            while self._limit and len(self._messages) > self._limit:
                self._messages.popitem(last=False)

    def newest_first(self, wanted: Callable[[Stored], bool] = lambda _: True) -> list[Stored]:
        """The messages that are wanted, newest first."""
        with self._lock:
            return [message for message in reversed(self._messages.values()) if wanted(message)]

    def get(self, identifier: str) -> Stored | None:
        """One message by its ID, or by ``latest``."""
        if identifier == "latest":
            return next(iter(self.newest_first()), None)
        with self._lock:
            return self._messages.get(identifier)

    def delete(self, identifiers: list[str]) -> None:
        """Drop the named messages, or all of them if none is named."""
        with self._lock:
            for identifier in identifiers or list(self._messages):
                self._messages.pop(identifier, None)
