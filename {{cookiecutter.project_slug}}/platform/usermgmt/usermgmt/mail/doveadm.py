"""Dovecot's interface for administration. Dovecot allows this key two commands: kick and quota get."""

from __future__ import annotations

import json
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


@dataclass(frozen=True)
class Doveadm:
    """One Dovecot, its key, and the authority that its certificate must be of."""

    host: str
    key: str = field(repr=False)
    trusted: ssl.SSLContext = field(repr=False)

    def kick(self, users: Iterable[str]) -> None:
        """End the sessions of these addresses; `*@example.org` are all of a domain. Raises Unreachable."""
        self._call([("kick", {"mask": sorted(users)})])

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

    def ask(self, commands: list[tuple[str, dict[str, Any]]], seconds: float) -> list[list[Any]]:
        """Each command's answer: its kind, what it says, and its number. Raises Unreachable."""
        body = json.dumps([[name, words, str(number)] for number, (name, words) in enumerate(commands)])
        headers = {
            "Authorization": f"X-Dovecot-API {b64encode(self.key.encode()).decode()}",
            "Content-Type": "application/json",
        }
        connection = HTTPSConnection(self.host, PORT, timeout=seconds, context=self.trusted)
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
