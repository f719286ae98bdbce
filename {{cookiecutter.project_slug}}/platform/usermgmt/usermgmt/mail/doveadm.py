"""Dovecot's interface for administration. Dovecot allows this key two commands: kick and quota get."""

from __future__ import annotations

import json
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from typing import Any

PORT = 8443
#: Seconds for all of a call: a page waits for it, and Dovecot lets a wrong key wait for much longer.
ANSWER_SECONDS = 5
KIB = 1024


class Unreachable(Exception):
    """Dovecot did not answer, or not what it should; nothing is known then."""


class _Connection(HTTPSConnection):
    """To one of the addresses of a name, whose certificate must have that name."""

    def __init__(self, host: str, address: str, seconds: float, trusted: ssl.SSLContext) -> None:
        super().__init__(host, PORT, timeout=seconds, context=trusted)
        self.address, self.trusted = address, trusted

    def connect(self) -> None:
        """As the parent does, but for where it leads."""
        plain = socket.create_connection((self.address, self.port), self.timeout)
        self.sock = self.trusted.wrap_socket(plain, server_hostname=self.host)


@dataclass(frozen=True)
class Doveadm:
    """One Dovecot, its key, and the authority that its certificate must be of."""

    host: str
    key: str = field(repr=False)
    trusted: ssl.SSLContext = field(repr=False)

    def kick(self, users: Iterable[str]) -> None:
        """End the sessions of these addresses; `*@example.org` are all of a domain. Raises Unreachable.

        On several hosts each proxy has some of them: all are told, also after one that does not answer.
        """
        missed: list[Unreachable] = []
        for address in self._addresses():
            try:
                self.ask([("kick", {"mask": sorted(users)})], ANSWER_SECONDS, address)
            except Unreachable as error:
                missed.append(error)
        if missed:
            raise missed[0]

    def used_bytes(self, addresses: Iterable[str], seconds: float = ANSWER_SECONDS) -> dict[str, int]:
        """How much each mailbox holds, in bytes to the KiB; who has none is left out. Raises Unreachable."""
        asked = list(addresses)
        answers = self._call([("quotaGet", {"user": address}) for address in asked], seconds)
        return {
            address: int(row["value"]) * KIB
            for address, rows in zip(asked, answers, strict=True)
            for row in rows
            if row["type"] == "STORAGE"
        }

    def _call(
        self, commands: list[tuple[str, dict[str, Any]]], seconds: float = ANSWER_SECONDS
    ) -> list[list[dict[str, str]]]:
        """The rows that each command answers with; none for one that failed."""
        return [rows if kind == "doveadmResponse" else [] for kind, rows, _ in self.ask(commands, seconds)]

    def _addresses(self) -> list[str]:
        try:
            found = socket.getaddrinfo(self.host, PORT, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Unreachable(f"dovecot cannot be asked: {error}") from error
        return sorted({str(each[4][0]) for each in found})

    def ask(
        self, commands: list[tuple[str, dict[str, Any]]], seconds: float, address: str = ""
    ) -> list[list[Any]]:
        """Each command's answer: its kind, what it says, and its number. Raises Unreachable.

        `address` is one of several that have the name.
        """
        body = json.dumps([[name, words, str(number)] for number, (name, words) in enumerate(commands)])
        headers = {
            "Authorization": f"X-Dovecot-API {b64encode(self.key.encode()).decode()}",
            "Content-Type": "application/json",
        }
        connection = _Connection(self.host, address or self.host, seconds, self.trusted)
        try:
            connection.request("POST", "/doveadm/v1", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                raise Unreachable(f"dovecot answers {answer.status} {answer.reason}")
            answers: list[list[Any]] = json.loads(content)
            return answers
        except (OSError, HTTPException, ValueError) as error:
            raise Unreachable(f"dovecot cannot be asked: {error}") from error
        finally:
            connection.close()
