"""The manifest of a copy in S3: plain, signed by the host, and named after its snapshot."""

import builtins
import json
from dataclasses import asdict, astuple, dataclass, field

from mailctl.backup.offsite.objects import Entry
from mailctl.core import signing
from mailctl.core.errors import Problem, Refused


@dataclass(frozen=True)
class Remote:
    """The manifest in S3. `objects` is everything that the snapshot needs, packs and indexes, by name.

    `snapshot` is the SHA-256 of the manifest.json inside; times are ISO 8601 in UTC. Each of
    `recipients` opens all of it. `signed`: by a key that counts here. `body`: as it was read.
    """

    id: str
    snapshot: str
    taken: str
    uploaded: str
    lock_days: int
    bytes: int
    chain: list[str]
    objects: dict[str, Entry]
    recipients: list[str] = field(default_factory=list)
    signed: bool = False
    body: builtins.bytes = b""

    def text(self) -> builtins.bytes:
        document = {"version": 2, **asdict(self)}
        del document["signed"], document["body"]
        document["objects"] = {name: astuple(entry) for name, entry in self.objects.items()}
        return (json.dumps(document) + "\n").encode()


def remote(body: bytes, key: str, signers: list[str]) -> Remote:
    """Parse a manifest. Raises Refused when it is none, or that of another snapshot."""
    text, signed = signing.split(body, signers)
    try:
        document = json.loads(text)
        if document.pop("version") not in (1, 2):
            raise ValueError("its version is neither 1 nor 2")
        objects = {name: Entry(*entry) for name, entry in document.pop("objects").items()}
        found = Remote(objects=objects, **{**document, "signed": signed, "body": body})
        if f"{found.id}/manifest.json" != key:
            raise ValueError(f"it is that of {found.id}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fix = "use another snapshot or version: .venv/bin/mailctl sync --list --versions"
        raise Refused(Problem(key, f"is no manifest of a copy: {error}", fix)) from None
    return found
