"""How a snapshot's mail is sent to the virus scanner."""

from __future__ import annotations

import io
from collections import deque
from types import SimpleNamespace

import pytest

from mailctl.backup import scan

MIB = 1 << 20


class Clamd:
    """Answers in the order of what it got; `most` is the largest size that it held unanswered, in bytes."""

    def __init__(self) -> None:
        self.held: deque[int] = deque()
        self.most = self.answered = 0
        self.text = b""

    def take(self, size: int) -> None:
        self.held.append(size)
        self.most = max(self.most, sum(self.held))

    def read(self, _: int) -> bytes:
        if not self.text:
            self.held.popleft()
            self.answered += 1
            self.text = f"{self.answered}: stream: OK\0".encode()
        byte, self.text = self.text[:1], self.text[1:]
        return byte


@pytest.fixture
def clamd(monkeypatch) -> Clamd:
    """A scanner that keeps count."""
    found = Clamd()
    monkeypatch.setattr(scan, "_send", lambda _, path: found.take(path.stat().st_size))
    return found


@pytest.mark.parametrize(("size", "files"), [(25 * MIB, 50), (1, 100)], ids=["large mails", "small mails"])
def test_the_scanner_never_holds_more_than_it_has_room_for(clamd, tmp_path, size, files):
    with (tmp_path / "mail").open("wb") as file:
        file.truncate(size)
    process = SimpleNamespace(stdin=io.BytesIO(), stdout=clamd)
    assert list(scan._findings(process, tmp_path, ["mail"] * files, None)) == []
    assert clamd.answered == files
    assert clamd.most == min(scan.AHEAD * size, scan.BYTES_AHEAD // size * size)
