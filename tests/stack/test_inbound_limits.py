"""Inbound mail at its limits: bursts, slow senders, slow scans. All of it arrives, once."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.stack.clients import Edge, message
from tests.stack.stack import eventually

MIB = 1024 * 1024
BURST = 50


@pytest.fixture
def edge(stack) -> Edge:
    return Edge(stack.info)


def envelope(edge: Edge, to: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {edge.token}",
        "X-Envelope-From": "writer@sender.example",
        "X-Envelope-To": to,
    }


def large(subject: str, to: str, size: int) -> bytes:
    """A mail of that many bytes, whose text no scanner minds."""
    raw = message(subject, to=to).as_bytes().replace(b"\n", b"\r\n")
    line = b"0123456789abcdef" * 4 + b"\r\n"
    return raw + line * ((size - len(raw)) // len(line))


def test_a_burst_of_50_is_taken_whole_and_arrives_once(edge, mailboxes):
    reader = mailboxes.new()
    mails = [message(f"burst {number:02}", to=reader.address) for number in range(BURST)]
    with ThreadPoolExecutor(BURST) as pool:
        answers = list(pool.map(lambda mail: edge.post(mail, reader.address), mails))
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    eventually(lambda: len(reader.find("burst")) >= BURST, limit=60)
    assert [len(reader.find(f"burst {number:02}")) for number in range(BURST)] == [1] * BURST


def test_a_mail_of_25_mib_over_a_slow_line_arrives(edge, mailboxes, stack):
    """Slower than 10 Mbit/s: longer under way than the time in which a caller is answered otherwise."""
    reader = mailboxes.new()
    raw, seconds = large("slow line", reader.address, 24 * MIB), 24

    def slowly() -> Iterator[bytes]:
        start, step = time.monotonic(), len(raw) // (seconds * 10) + 1
        for number, begin in enumerate(range(0, len(raw), step)):
            time.sleep(max(0.0, start + number / 10 - time.monotonic()))
            yield raw[begin : begin + step]

    url = f"{stack.info['api']}/v1/messages"
    answer = httpx.post(url, content=slowly(), headers=envelope(edge, reader.address), timeout=120)
    assert (answer.status_code, answer.elapsed.total_seconds() > seconds - 2) == (200, True), answer.text
    assert len(reader.read("slow line", limit=60)) >= len(raw)


def test_an_unknown_recipient_is_told_while_a_client_still_streams_the_body(edge, mailboxes, stack):
    """A real connection: the answer comes, and the rest of the body is still taken without an error."""
    host, port = stack.info["api"].removeprefix("http://").split(":")
    head = {**envelope(edge, mailboxes.address("nobody")), "Host": host, "Transfer-Encoding": "chunked"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(f"POST /v1/messages HTTP/1.1\r\n{lines}\r\n".encode() + chunk)
        answer = line.recv(4096)
        assert answer.startswith(b"HTTP/1.1 404"), answer
        for _ in range(50):
            line.sendall(chunk)
        line.sendall(b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        rest = b""
        while b"HTTP/1.1 200" not in rest:
            part = line.recv(4096)
            assert part, rest
            rest += part


def test_a_scan_slower_than_the_caller_gives_no_double(edge, mailboxes, scanned):
    """The filter stops while it has the mail; the caller gives up, asks again and is told the outcome."""
    reader, stack = mailboxes.new(), scanned
    mail = large("slow scan", reader.address, 8 * MIB)
    whole = ("find", "/var/spool/postfix/incoming", "-size", "+8000k")
    with ThreadPoolExecutor(1) as pool:
        # Without the scanner the filter cannot be done with it before it stops.
        stack.docker("pause", "clamav")
        try:
            first = pool.submit(edge.post, mail, reader.address)
            eventually(lambda: stack.exec("postfix", *whole).split())
            stack.docker("pause", "rspamd")
        finally:
            stack.docker("unpause", "clamav")
        try:
            status = first.result().status_code
        finally:
            stack.docker("unpause", "rspamd")
    assert status == 503
    answer = eventually(lambda: (a := edge.post(mail, reader.address)).status_code == 200 and a, limit=120)
    assert reader.read("slow scan", limit=60)
    # Dovecot shows a mail a moment before Postfix forgets it.
    eventually(lambda: reader.address not in stack.exec("postfix", "postqueue", "-j"))
    assert len(reader.find("slow scan")) == 1, answer.text
