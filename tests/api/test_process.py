"""The real process: memory, early refusal on the wire, a clean end, TLS to postfix."""

import asyncio
import contextlib
import os
import re
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import trustme
from calls import TOKEN, post
from smtp_server import SmtpServer

from mailserver_api.__main__ import MAX_CONNECTIONS
from mailserver_api.settings import Settings
from tests.places import PLATFORM
from tests.ports import free_port

SOURCE = PLATFORM / "mailserver-api" / "src"
MIB = 1024 * 1024


@dataclass
class Running:
    process: asyncio.subprocess.Process
    port: int
    client: httpx.AsyncClient

    def peak_memory(self) -> int:
        """Most resident memory so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


@asynccontextmanager
async def launched(settings: Settings, **more: str) -> AsyncIterator[Running]:
    """The real process with these settings and variables; it is killed at the end of the block."""
    port = free_port()
    environment = {
        "PYTHONPATH": str(SOURCE),
        "TOKENS_FILE": str(settings.tokens_file),
        "STATE_DIR": str(settings.state_dir),
        "SMTP_HOST": settings.smtp_host,
        "SMTP_PORT": str(settings.smtp_port),
        "PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "mailserver_api",
        env=os.environ | environment | more,
        stdout=asyncio.subprocess.PIPE,
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
        await _until_alive(client)
        yield Running(process, port, client)
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Running]:
    async with launched(settings) as running:
        yield running


async def _until_alive(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await client.get("/health")).status_code == 200:
                    return
            await asyncio.sleep(0.02)


async def test_messages_of_25_mib_never_are_in_memory(service: Running, smtp: SmtpServer, settings: Settings):
    await post(service.client)
    before = service.peak_memory()

    async def large(mark: int):
        yield b"%d\r\n\r\n" % mark
        for _ in range(24 * 8):
            yield b"z" * (MIB // 8)

    answers = await asyncio.gather(*(post(service.client, large(mark)) for mark in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert service.peak_memory() - before < 12 * MIB
    assert service.peak_memory() < 128 * MIB
    assert list(settings.spool_dir.iterdir()) == []


async def test_a_size_above_the_limit_is_refused_on_the_wire_before_any_body(service: Running):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nX-Envelope-From:\r\n"
        f"X-Envelope-To: b@here.example\r\nContent-Length: {25 * MIB + 1}\r\n\r\n".encode()
    )
    answer = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("call", ["POST /v1/messages", "POST /v1/spool", "POST /elsewhere"])
async def test_a_call_without_a_token_cannot_hold_its_connection_by_an_unfinished_body(
    service: Running, call
):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(f"{call} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it".encode())
    answer = await asyncio.wait_for(reader.read(), 30)  # until the other side has closed
    writer.close()
    assert b"\r\nconnection: close\r\n" in answer


async def test_as_many_calls_without_a_token_as_there_may_be_connections_hold_up_no_mail(service: Running):
    lines = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf of it"
    held = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(MAX_CONNECTIONS - 1)]
    for _, writer in held:
        writer.write(lines)
    for reader, _ in held:
        await asyncio.wait_for(reader.readline(), 30)
    assert (await post(service.client)).status_code == 200
    assert (await post(service.client, b"another")).status_code == 200
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize(
    "attack", ["b@here.example\r\n X", "b@here.example\nX-Envelope-To: c@d.example", "b\0@x"]
)
async def test_a_header_with_smuggled_bytes_never_reaches_postfix(service: Running, smtp: SmtpServer, attack):
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nX-Envelope-From:\r\n"
        f"X-Envelope-To: {attack}\r\nContent-Length: 1\r\n\r\nx".encode()
    )
    answer = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400")
    assert smtp.connections == 0


async def test_a_caller_that_hangs_up_leaves_nothing_behind(
    service: Running, smtp: SmtpServer, settings: Settings
):
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(
        f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nX-Envelope-From:\r\n"
        "X-Envelope-To: b@here.example\r\nContent-Length: 1000\r\n\r\nhalf of it".encode()
    )
    await writer.drain()
    writer.close()
    assert b'"detail": "the caller hung up"' in await _line(service, b"hung up")
    assert smtp.connections == 0
    assert list(settings.spool_dir.iterdir()) == []


async def test_sigterm_lets_a_message_in_flight_finish(service: Running, smtp: SmtpServer):
    smtp.hold.clear()
    in_flight = asyncio.create_task(post(service.client))
    await asyncio.wait_for(smtp.waiting.wait(), 30)
    service.process.send_signal(signal.SIGTERM)
    await _line(service, b"Shutting down")
    smtp.hold.set()
    assert (await in_flight).status_code == 200
    assert await asyncio.wait_for(service.process.wait(), 30) in (0, -signal.SIGTERM)


async def test_after_a_sudden_death_the_retry_goes_out_under_the_same_key(
    settings: Settings, smtp: SmtpServer
):
    """Nobody can know then whether postfix has the message: the last hop recognizes it by its key."""
    smtp.hold.clear()
    async with launched(settings) as first:
        unanswered = asyncio.create_task(post(first.client))
        await asyncio.wait_for(smtp.waiting.wait(), 30)
        first.process.kill()
        assert isinstance((await asyncio.gather(unanswered, return_exceptions=True))[0], httpx.TransportError)
    smtp.hold.set()
    async with launched(settings) as second:
        assert (await post(second.client)).status_code == 200
        assert (await post(second.client)).json()["duplicate"] is True
    assert len({message.key for message in smtp.delivered}) == 1


async def test_an_outcome_is_known_after_a_sudden_death_too(settings: Settings, smtp: SmtpServer):
    async with launched(settings) as first:
        assert (await post(first.client)).status_code == 200
        first.process.kill()
    async with launched(settings) as second:
        assert (await post(second.client)).json()["duplicate"] is True
    assert len(smtp.delivered) == 1


async def _line(service: Running, text: bytes) -> bytes:
    async with asyncio.timeout(60):
        while line := await service.process.stdout.readline():
            if text in line:
                return line
    raise AssertionError(f"{text!r} was never logged")


@pytest.mark.parametrize(
    ("variable", "tokens", "said"),
    [
        ("x", TOKEN, b"SMTP_PORT: 'x' is not accepted"),
        ("25", "t" * 31, b"a token is not 32 to 512 printable ASCII characters"),
        ("25", "", b"holds 0 tokens"),
    ],
    ids=["a bad variable", "a short token", "no token"],
)
async def test_a_bad_setting_ends_the_process_with_a_clear_line(tmp_path, variable, tokens, said):
    (tmp_path / "tokens").write_text(tokens)
    given = {"PYTHONPATH": str(SOURCE), "SMTP_PORT": variable, "TOKENS_FILE": str(tmp_path / "tokens")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mailserver_api"), env=os.environ | given, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert (process.returncode, errors.count(b"\n")) == (2, 1)
    assert said in errors


async def test_leftovers_in_the_spool_are_removed_at_start(start, settings: Settings):
    settings.spool_dir.mkdir(parents=True)
    (settings.spool_dir / "leftover").write_bytes(b"old")
    await start()
    assert list(settings.spool_dir.iterdir()) == []


@pytest.mark.parametrize(("name", "status"), [("127.0.0.1", 200), ("other.example", 503)])
async def test_with_a_ca_only_a_postfix_that_proves_its_name_gets_mail(
    start, smtp: SmtpServer, tmp_path, name, status
):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    smtp.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(smtp.tls)
    client = await start(smtp_ca_file=tmp_path / "ca.crt")
    assert (await post(client)).status_code == status
    assert len(smtp.delivered) == (status == 200)
