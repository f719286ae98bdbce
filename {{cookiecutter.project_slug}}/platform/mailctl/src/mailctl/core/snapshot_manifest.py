"""What a snapshot says about itself: manifest.json, and the list of checksums of its mail."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from mailctl.core.errors import Problem, Refused

FILE, MAIL_INDEX = "manifest.json", "mail.sha256"
# mailctl is installed from the repository (pip --editable), so the schema lies where git put it.
SCHEMA = Path(__file__).resolve().parents[4] / "schemas" / "snapshot.schema.json"
COMPONENTS = ("mail", "mysql", "config", "ssl", "dkim", "learned", "groupware")
# Not in the snapshots of 0.10 and before, or where there are no calendars: they are good without it.
LATER = ("learned", "groupware")
AGAIN = "use another snapshot (make backup ARGS=--weekly takes a new one)"


@dataclass(frozen=True)
class Manifest:
    """The parsed manifest.json; `document` is exactly what the schema describes."""

    document: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def kind(self) -> str:
        return str(self.document["kind"])

    @property
    def started(self) -> datetime:
        return _moment(self.document["started"])

    @property
    def finished(self) -> datetime:
        return _moment(self.document["finished"])

    @property
    def components(self) -> Mapping[str, Mapping[str, Any]]:
        found: Mapping[str, Mapping[str, Any]] = self.document["components"]
        return found

    @property
    def ok(self) -> bool:
        """Whether every component was saved."""
        return all(self.components[name]["ok"] for name in self.expected(COMPONENTS))

    def expected(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of these components that a snapshot of its version has; of several hosts that of its host."""
        optional = COMPONENTS if "share" in self.document else LATER
        return tuple(name for name in names if name in self.components or name not in optional)

    @property
    def mailboxes(self) -> Mapping[str, Mapping[str, Any]]:
        """By address: `messages`, `bytes`, and `folders` with the number of messages in each."""
        found: Mapping[str, Mapping[str, Any]] = self.components.get("mail", {}).get("mailboxes", {})
        return found

    @property
    def links(self) -> Mapping[str, str]:
        """Symbolic links below mail/ (sieve's active script), path and target; never followed."""
        found: Mapping[str, str] = self.components.get("mail", {}).get("links", {})
        return found


def load(folder: Path) -> Manifest:
    """The manifest in `folder`. Raises Refused: missing, not JSON, or not what the schema describes."""
    path = folder / FILE
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        wrong = "there is no manifest.json: this is no snapshot, or an unfinished one"
        raise Refused(Problem("snapshot", wrong, AGAIN, value=str(folder))) from None
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
        raise Refused(Problem("snapshot", wrong, "run this as root", value=str(path))) from None
    except ValueError as error:
        raise Refused(Problem("manifest.json", f"is not JSON: {error}", AGAIN, value=str(path))) from None
    from jsonschema.exceptions import best_match

    if (flaw := best_match(_validator().iter_errors(document))) is not None:
        place = flaw.json_path.removeprefix("$.").removeprefix("$") or "the document"
        raise Refused(Problem(f"manifest.json {place}", flaw.message[:200], AGAIN, value=str(path)))
    return Manifest(document)


def save(folder: Path, document: Mapping[str, Any]) -> Manifest:
    """Write the manifest; it is the last file of a snapshot. Raises ValueError when it breaks the schema."""
    _validator().validate(document)
    text = json.dumps(document, indent=1, sort_keys=True)  # ASCII: a path need not be valid UTF-8
    (folder / FILE).write_text(text + "\n", "utf-8")
    return Manifest(document)


def now() -> str:
    """The present in UTC, to the second, as manifests write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def index_line(path: str, digest: str) -> bytes:
    """One line as sha256sum(1) writes it: a name with a backslash or newline is escaped and marked so."""
    raw = os.fsencode(path)
    if b"\\" in raw or b"\n" in raw or b"\r" in raw:
        raw = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
        return b"\\" + digest.encode() + b"  " + raw + b"\n"
    return digest.encode() + b"  " + raw + b"\n"


def read_index(path: Path) -> Iterator[tuple[str, str]]:
    """Path and SHA-256 of each file in a mail.sha256. Raises Refused for a line of another form."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            escaped, line = line.startswith(b"\\"), line.rstrip(b"\n").lstrip(b"\\")
            digest, gap, raw = line[:64], line[64:66], line[66:]
            if gap != b"  " or not raw:
                wrong = "is not of the form sha256sum writes"
                raise Refused(Problem(f"{MAIL_INDEX} line {number}", wrong, AGAIN, value=str(path)))
            yield os.fsdecode(_unescaped(raw) if escaped else raw), digest.decode("ascii", "replace")


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content; never follows a link."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unescaped(raw: bytes) -> bytes:
    names = {b"n": b"\n", b"r": b"\r"}
    return re.sub(rb"(?s)\\(.)", lambda found: names.get(found[1], found[1]), raw)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
