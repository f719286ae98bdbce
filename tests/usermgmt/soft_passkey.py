"""A device that keeps passkeys, as a program: it signs what the tests want, right or wrong."""

from __future__ import annotations

import hashlib
import html
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
#: COSE: an elliptic key for ES256 on P-256.
KEY_TYPE, ALGORITHM, CURVE = {1: 2}, {3: -7}, {-1: 1}


def options_of(page: str) -> dict[str, Any]:
    """What a page asks of a device."""
    found = re.search(r'data-options="([^"]+)"', page)
    assert found, "the page asks for no passkey"
    return json.loads(html.unescape(found[1]))


@dataclass
class Device:
    """One passkey. `verifies`: it recognised its person; `counter`: what it says next."""

    origin: str
    verifies: bool = True
    counter: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user: str = ""

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def _said(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _data(self, site: str, more: bytes = b"") -> bytes:
        flags = PRESENT | (VERIFIED if self.verifies else 0) | (ATTESTED if more else 0)
        site_hash = hashlib.sha256(site.encode()).digest()
        return site_hash + bytes([flags]) + self.counter.to_bytes(4, "big") + more

    def _answer(self, **response: bytes) -> str:
        name = bytes_to_base64url(self.credential_id)
        said = {key: bytes_to_base64url(value) for key, value in response.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": said})

    def make(self, options: dict[str, Any]) -> str:
        """The answer to a page that makes a passkey."""
        numbers = self.key.public_key().public_numbers()
        place = {-2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        public = cbor2.dumps({**KEY_TYPE, **ALGORITHM, **CURVE, **place})
        length = len(self.credential_id).to_bytes(2, "big")
        data = self._data(options["rp"]["id"], bytes(16) + length + self.credential_id + public)
        self.user = options["user"]["id"]
        return self._answer(
            clientDataJSON=self._said("webauthn.create", options["challenge"]),
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
        )

    def use(self, options: dict[str, Any]) -> str:
        """The answer to a page that asks for one."""
        said, data = self._said("webauthn.get", options["challenge"]), self._data(options["rpId"])
        signature = self.key.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        handle = base64url_to_bytes(self.user)
        return self._answer(
            clientDataJSON=said, authenticatorData=data, signature=signature, userHandle=handle
        )
