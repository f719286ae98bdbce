"""The relays' table as the tests use it, and what a relay does to a mail on its way."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml

from tests.places import PLATFORM

TABLE: dict[str, dict] = yaml.safe_load((PLATFORM / "relays.yml").read_text(encoding="utf-8"))
FIELD = re.compile(rb"(?m)^[^\s:]+:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")


def name_of(field: bytes) -> str:
    """Return the name of a header field, in lower case."""
    return field.partition(b":")[0].decode("ascii").lower()


def rewritten(raw: bytes, relay: Mapping, domain: str) -> bytes:
    """Return the mail as the relay passes it on, by its table: fields dropped, replaced and added."""
    head, _, body = raw.partition(b"\r\n\r\n")
    fields = FIELD.findall(head + b"\r\n")
    if isinstance(relay["accepts"]["value"], list):
        known = {name.lower() for name in relay["accepts"]["value"]}
        fields = [field for field in fields if name_of(field) in known or name_of(field).startswith("x-")]
    values = {name: value.replace("{domain}", domain) for name, value in relay["rewrites"]["value"].items()}
    replaced = {name.lower() for name in values}
    fields = [field for field in fields if name_of(field) not in replaced]
    new = "".join(f"{name}: {value}\r\n" for name, value in values.items()).encode()
    return b"Received: from us by the relay\r\n" + b"".join(fields) + new + b"\r\n" + body
