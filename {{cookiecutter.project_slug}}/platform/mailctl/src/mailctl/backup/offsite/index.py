"""What a copy consists of: the plain manifest in S3, and the encrypted index that says which pack holds what.

An index holds only what changed since the one before; now and then a whole one begins a new chain. So a day
costs what its new mail costs, however large the mailboxes are.
"""

import builtins
import gzip
import io
import json
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mailctl.backup.offsite import packs
from mailctl.backup.offsite.objects import Bucket, Entry
from mailctl.backup.offsite.packs import File
from mailctl.core import encryption
from mailctl.core.errors import Problem, Refused

LONGEST_CHAIN = 50
TOP = {"mail", "mysql", "config", "ssl", "dkim", "learned", "manifest.json", "mail.sha256"}


@dataclass(frozen=True)
class Remote:
    """The manifest in S3. `objects` is everything that the snapshot needs, packs and indexes, by name.

    `snapshot` is the SHA-256 of the manifest.json inside; times are ISO 8601 in UTC. Each of
    `recipients` opens all of it.
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

    def text(self) -> builtins.bytes:
        document = {"version": 1, **asdict(self)}
        document["objects"] = {name: astuple(entry) for name, entry in self.objects.items()}
        return (json.dumps(document) + "\n").encode()


def remote(text: bytes, key: str) -> Remote:
    """Parse a manifest. Raises Refused when it is none, or that of another snapshot."""
    try:
        document = json.loads(text)
        if document.pop("version") != 1:
            raise ValueError("its version is not 1")
        objects = {name: Entry(*entry) for name, entry in document.pop("objects").items()}
        found = Remote(objects=objects, **document)
        if f"{found.id}/manifest.json" != key:
            raise ValueError(f"it is that of {found.id}")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        fix = "use another snapshot or version: .venv/bin/mailctl sync --list --versions"
        raise Refused(Problem(key, f"is no manifest of a copy: {error}", fix)) from None
    return found


@dataclass
class Index:
    """Files by path, the pack of each content by SHA-256, and folders without files."""

    files: dict[str, File] = field(default_factory=dict)
    packs: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


def load(bucket: Bucket, chain: list[str], identities: list[str]) -> Index:
    """The index at the end of a chain. Raises Refused: unreadable, or with paths that lead elsewhere."""
    found = Index()
    for name in chain:
        with TemporaryFile() as sealed, TemporaryFile() as plain:
            bucket.get_data(name, sealed)
            sealed.seek(0)
            encryption.decrypt(sealed, plain, identities)
            plain.seek(0)
            try:
                _apply(found, json.loads(gzip.decompress(plain.read())))
            except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
                fix = "use another snapshot: .venv/bin/mailctl sync --list"
                raise Refused(Problem("index", f"is damaged: {error}", fix, value=name)) from None
    return found


def _apply(index: Index, document: dict[str, Any]) -> None:
    for path in document["gone"]:
        del index.files[path]
    for path, rest in document["files"].items():
        if not stays_inside(path):
            raise ValueError(f"the path {path!r} leads out of the snapshot")
        index.files[path] = File(path, *rest)
    if not all(map(stays_inside, document["folders"])):
        raise ValueError("a folder leads out of the snapshot")
    index.folders = document["folders"]
    index.packs |= {sha: pack for pack, shas in document["packs"].items() for sha in shas}


def stays_inside(path: str) -> bool:
    """Whoever may write to the bucket may write an index: it must not name files of the host."""
    parts = path.split("/")
    return parts[0] in TOP and not {"", ".", ".."} & set(parts)


def write(folder: Path, before: Index, after: Index, recipients: list[str]) -> Path:
    """Write what changed as an encrypted index into `folder`."""
    changed = {p: f for p, f in after.files.items() if before.files.get(p) != f}
    held: dict[str, list[str]] = {}
    for sha, pack in after.packs.items():
        if before.packs.get(sha) != pack:
            held.setdefault(pack, []).append(sha)
    document = {
        "files": {path: astuple(file)[1:] for path, file in changed.items()},
        "gone": sorted(before.files.keys() - after.files.keys()),
        "folders": after.folders,
        "packs": held,
    }
    plain = gzip.compress(json.dumps(document, separators=(",", ":")).encode())
    return packs.seal(folder, io.BytesIO(plain), recipients)


def worn(sizes: list[int]) -> bool:
    """Whether a chain is so long, or its changes so large, that a whole index is the better next one."""
    first, *rest = sizes
    return len(sizes) >= LONGEST_CHAIN or sum(rest) > first
