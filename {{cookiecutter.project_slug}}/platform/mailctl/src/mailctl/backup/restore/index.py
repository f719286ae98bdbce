"""The keywords in a folder's index, as Dovecot keeps them: names of files have letters for 26 of them alone.

By Dovecot's mail-index.h and mail-transaction-log.h: a table by UID, and a log of what changed since.
"""

import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from mailctl.backup.beside import INDEX

HEADER = struct.Struct("<BBHII48xIII")  # version, sizes of headers and records; the log from which to go on
COUNT_AT, NEW, EXTENSION, CHANGE = 32, 128, struct.Struct("<IIHHHH"), struct.Struct("<BxH")
KEYWORD_UPDATE, KEYWORD_RESET, TYPES = 0x400, 0x800, 0x0FFFFFFF
ADD, REMOVE = 0, 1


def keywords(maildir: Path) -> dict[int, frozenset[str]]:
    """The keywords of each mail by its UID. Raises ValueError: the files are not what Dovecot writes."""
    main, *logs = ((maildir / name).read_bytes() if (maildir / name).exists() else b"" for name in INDEX)
    found: dict[int, frozenset[str]] = {}
    shared: dict[frozenset[str], frozenset[str]] = {}
    try:
        _, _, _, _, _, number, _, offset = HEADER.unpack_from(main) if main else (0,) * 8
        found.update(_table(main) if main else ())
        by_number = {_word(log, 8): log for log in logs if log}
        for each in sorted(number_ for number_ in by_number if number_ >= number):
            log = by_number[each]
            start = offset if each == number else int.from_bytes(log[2:4], "little")
            for kind, change in _changes(log, start):
                for uid, new in _changed(kind, change, found):
                    found[uid] = shared.setdefault(new, new)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"{maildir}: {error}") from None
    return found


def _table(main: bytes) -> Iterator[tuple[int, frozenset[str]]]:
    _, _, base, size, each, *_ = HEADER.unpack_from(main)
    at = base
    while at < size:
        length, _, place, bytes, _, named = EXTENSION.unpack_from(main, at)
        name = main[at + EXTENSION.size :][:named]
        content = at + EXTENSION.size + _aligned(named)
        if name == b"keywords":
            words = _names(main[content : content + length])
            for record in range(size, size + each * _word(main, COUNT_AT), each):
                bits = int.from_bytes(main[record + place :][:bytes], "little")
                yield _word(main, record), frozenset(w for n, w in enumerate(words) if bits >> n & 1)
        at = content + _aligned(length)


def _names(header: bytes) -> list[str]:
    count = _word(header, 0)
    names = header[4 + 8 * count :]
    starts = [_word(header, 8 + 8 * number) for number in range(count)]
    return [names[start : names.index(b"\0", start)].decode() for start in starts]


def _changes(log: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each record; one whose length is not there yet is half written."""
    while at + 8 <= len(log) and all(byte & NEW for byte in log[at : at + 4]):
        high, middle, low, last = (byte & 127 for byte in log[at : at + 4])
        size = (high << 21 | middle << 14 | low << 7 | last) << 2
        yield _word(log, at + 4) & TYPES, log[at + 8 : at + size]
        at += size


def _changed(
    kind: int, change: bytes, found: dict[int, frozenset[str]]
) -> Iterator[tuple[int, frozenset[str]]]:
    if kind == KEYWORD_RESET:
        yield from ((uid, frozenset()) for uid in _uids(change) if uid in found)
    elif kind == KEYWORD_UPDATE:
        how, length = CHANGE.unpack_from(change)
        word = frozenset([change[4 : 4 + length].decode()])
        for uid in _uids(change[4 + -(-length // 4) * 4 :]):
            before = found.get(uid, frozenset())
            yield uid, before | word if how == ADD else before - word if how == REMOVE else word


def _uids(ranges: bytes) -> Iterator[int]:
    return chain.from_iterable(range(first, last + 1) for first, last in struct.iter_unpack("<II", ranges))


def _word(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 4], "little")


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
