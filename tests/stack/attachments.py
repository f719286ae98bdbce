"""Mails with attachments that do not come in: a document with a macro, an archive with a password, a bomb."""

from __future__ import annotations

import struct
import zipfile
from email.message import EmailMessage
from io import BytesIO

from tests.stack.clients import message

SECTOR, STREAM = 512, 4096
END, FREE, TABLE = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD
#: More than clamd looks at in one file, and packed a thousandth of it.
LARGE = 101 * 1024 * 1024


def attached(subject: str, to: str, name: str, content: bytes) -> EmailMessage:
    """An ordinary mail with one attachment."""
    mail = message(subject, to=to)
    mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail


def with_macros(subject: str, to: str) -> EmailMessage:
    """With a document that runs a macro when it is opened."""
    return attached(subject, to, "offer.doc", document())


def with_a_password(subject: str, to: str) -> EmailMessage:
    """With an archive whose file is marked as encrypted, at both places that say so."""
    archive = bytearray(zipped("offer.txt", b"an offer\n"))
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        archive[archive.index(signature) + flags] |= 1
    return attached(subject, to, "offer.zip", bytes(archive))


def with_a_bomb(subject: str, to: str) -> EmailMessage:
    """With an archive that is a thousand times as large when it is unpacked."""
    return attached(subject, to, "offer.zip", zipped("offer.bin", bytes(LARGE)))


def zipped(name: str, content: bytes) -> bytes:
    """An archive with one file."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def entry(name: str, kind: int, below: int = FREE, beside: int = FREE, at: int = END) -> bytes:
    """An entry of a directory ([MS-CFB] 2.6): `kind` is 5 for the root, 1 for a storage, 2 for a stream."""
    wide = (name + "\0").encode("utf-16-le")
    head = struct.pack("<HBBIII", len(wide), kind, 1, FREE, beside, below)
    size = STREAM if kind == 2 else 0
    return wide.ljust(64, b"\0") + head + bytes(36) + struct.pack("<III", at, size, 0)


def project() -> bytes:
    """The beginning of a project's description ([MS-OVBA] 2.3.4.2), in the form of 2.4.1, nothing packed."""
    records = ((1, 4, 1), (2, 4, 0x409), (0x14, 4, 0x409), (3, 2, 1252))
    plain = b""
    for kind, size, value in records:
        plain += struct.pack("<HI", kind, size) + value.to_bytes(size, "little")
    tokens = b"".join(b"\0" + plain[at : at + 8] for at in range(0, len(plain), 8))
    return b"\1" + struct.pack("<H", 0xB000 | len(tokens) - 1) + tokens


def document() -> bytes:
    """The smallest OLE2 file that has a VBA project ([MS-OVBA] 2.2.1): two streams of eight sectors.

    Sector 0 is the table of sectors, 1 and 2 the directory, the streams begin at 3.
    """
    streams = {"_VBA_PROJECT": b"\xcc\x61\xff\xff", "dir": project()}
    table = [TABLE, 2, END]
    for _ in streams:
        table += [*(len(table) + number for number in range(1, STREAM // SECTOR)), END]
    table += [FREE] * (SECTOR // 4 - len(table))
    directory = entry("Root Entry", 5, below=1) + entry("Macros", 1, below=2) + entry("VBA", 1, below=3)
    directory += entry("_VBA_PROJECT", 2, beside=4, at=3) + entry("dir", 2, at=3 + STREAM // SECTOR)
    head = (
        bytes.fromhex("D0CF11E0A1B11AE1") + bytes(16) + struct.pack("<5H", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    )
    head += struct.pack("<9I", 0, 1, 1, 0, STREAM, END, 0, END, 0) + struct.pack("<I", 0)
    content = b"".join(each.ljust(STREAM, b"\0") for each in streams.values())
    sectors = struct.pack("<128I", *table) + directory.ljust(2 * SECTOR, b"\0") + content
    return head.ljust(SECTOR, b"\xff") + sectors
