"""Takes the documents out of a mail, and stops at what grows too large."""

from __future__ import annotations

import email
import email.policy
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator

from usermgmt.feedback.forms import Unreadable

LARGEST = 20 * 1024 * 1024
MOST_FILES = 10
ENDINGS = (".zip", ".gz", ".xml", ".json")
GZIP, ZIP = b"\x1f\x8b", b"PK"
#: What zipfile raises for an archive that is damaged, encrypted, or made with care.
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)


def unzip(packed: bytes) -> Iterator[bytes]:
    """The files of an archive, of which a report needs one. What is packed in it is not unpacked again."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MOST_FILES:
                raise Unreadable(f"the archive has {len(entries)} files")
            for entry in entries:
                # The size that it claims may be a lie.
                with archive.open(entry) as file:
                    yield file.read(LARGEST + 1)
    except BROKEN as error:
        raise Unreadable(f"the archive cannot be read: {error}") from error


def gunzip(packed: bytes) -> bytes:
    """What was compressed, or as much of it as is too much."""
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(packed, LARGEST + 1)
    except zlib.error as error:
        raise Unreadable(f"it cannot be unpacked: {error}") from error


def documents(mail: bytes) -> Iterator[bytes]:
    """What a mail has attached, unpacked; raises Unreadable."""
    parts = email.message_from_bytes(mail, policy=email.policy.compat32).walk()
    attached = [part for part in parts if (part.get_filename() or "").lower().endswith(ENDINGS)]
    if not 0 < len(attached) <= MOST_FILES:
        raise Unreadable(f"it has {len(attached)} attachments that may be reports")
    for part in attached:
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        one = [gunzip(content)] if content.startswith(GZIP) else [content]
        for document in unzip(content) if content.startswith(ZIP) else one:
            if len(document) > LARGEST:
                raise Unreadable(f"unpacked, it is larger than {LARGEST} bytes")
            yield document
