"""Takes the documents out of a mail, and stops at what grows too large."""

from __future__ import annotations

import email
import io
import zipfile
import zlib
from collections.abc import Iterator

from usermgmt.feedback.forms import Unreadable

LARGEST = 8 * 1024 * 1024
MOST_FILES = 10
ENDINGS = (".zip", ".gz", ".xml", ".json")
GZIP, ZIP = b"\x1f\x8b", b"PK"


def unpacked(content: bytes) -> Iterator[bytes]:
    """The files of an archive, or the one document. What is packed in them is not unpacked again."""
    if content.startswith(GZIP):
        yield zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(content, LARGEST + 1)
    elif content.startswith(ZIP):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                # The size that it claims may be a lie.
                with archive.open(entry) as file:
                    yield file.read(LARGEST + 1)
    else:
        yield content


def documents(mail: bytes) -> Iterator[bytes]:
    """What a mail has attached, unpacked. Raises Unreadable, and anything that a library does."""
    parts = email.message_from_bytes(mail).walk()
    attached = [part for part in parts if (part.get_filename() or "").lower().endswith(ENDINGS)]
    files = (one for part in attached for one in unpacked(bytes(part.get_payload(decode=True) or b"")))
    number = 0
    for number, document in enumerate(files, 1):
        if number > MOST_FILES or len(document) > LARGEST:
            raise Unreadable("it has too many attachments, or one that is too large")
        yield document
    if not number:
        raise Unreadable("it has no attachment that may be a report")
