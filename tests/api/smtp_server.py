"""A small real SMTP server that answers any verdict at any step, hangs, or hangs up."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Self

HANG = "hang"
HANG_UP = "hang up"
DRIP = "drip"
EXTENSIONS = ("PIPELINING", "SIZE 27262976", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8", "CHUNKING", "DSN")
#: With every recipient: no report goes to a stranger.
NEVER = " NOTIFY=NEVER"
KEY = b"X-Mailserver-Delivery: "


@dataclass
class Delivered:
    """A message the server said 250 to: its envelope, its key and the rest, byte for byte."""

    mail: str
    rcpt: str
    key: bytes
    content: bytes


@dataclass
class SmtpServer:
    """`answers` replaces the answer of a step: connect, ehlo, mail, rcpt, data, message."""

    extensions: tuple[str, ...] = EXTENSIONS
    #: What the first line of each message begins with; the rest of that line is its key.
    mark: bytes = KEY
    answers: dict[str, str] = field(default_factory=dict)
    #: What the filter does while a message waits for its answer.
    judge: Callable[[Delivered], Awaitable[None]] | None = None
    tls: ssl.SSLContext | None = None
    delivered: list[Delivered] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    held: int = 0
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    async def __aenter__(self) -> Self:
        self.hold.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=64 * 1024 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self._writers: set[asyncio.StreamWriter] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.hold.set()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, EOFError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _say(self, writer: asyncio.StreamWriter, step: str, usual: str) -> bool:
        """Answer a step; True if the answer was positive."""
        answer = self.answers.get(step, usual)
        if answer == HANG_UP:
            raise EOFError
        if answer == HANG:
            await self._until_gone(writer)
        if answer == DRIP:
            while True:  # a continuation line every 50 ms: each read succeeds, the answer never ends
                writer.write(b"250-wait\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.write(answer.encode() + b"\r\n")
        await writer.drain()
        return answer[0] in "23"

    async def _until_gone(self, writer: asyncio.StreamWriter) -> None:
        await writer.wait_closed()
        raise EOFError

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._say(writer, "connect", "220 test ESMTP")
        mail = rcpt = ""
        while line := (await reader.readline()).decode("utf-8", "surrogateescape").rstrip("\r\n"):
            self.commands.append(line)
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    lines = ["test", *self.extensions]
                    last = f"250 {lines[-1]}"
                    await self._say(
                        writer, "ehlo", "\r\n".join([*(f"250-{text}" for text in lines[:-1]), last])
                    )
                case "STARTTLS":
                    await self._say(writer, "starttls", "220 go")
                    await writer.start_tls(self.tls)
                case "MAIL":
                    mail = rest if await self._say(writer, "mail", "250 2.1.0 Ok") else ""
                case "RCPT":
                    usual = "250 2.1.5 Ok"
                    rcpt = rest.removesuffix(NEVER) if await self._say(writer, "rcpt", usual) else ""
                case "BDAT":
                    if self.answers.get("message") == "hang up early":
                        writer.write(b"552 5.3.4 too big\r\n")
                        await writer.drain()
                        writer.transport.abort()
                        raise EOFError
                    content = await reader.readexactly(int(rest.split()[0]))
                    key, _, content = content.partition(b"\r\n")
                    assert key.startswith(self.mark)
                    await self._take(writer, Delivered(mail, rcpt, key.removeprefix(self.mark), content))
                case "RSET":
                    writer.write(b"250 2.0.0 Ok\r\n")
                case "QUIT":
                    writer.write(b"221 2.0.0 Bye\r\n")
                    return
                case _:
                    writer.write(b"502 5.5.2 what?\r\n")

    async def _take(self, writer: asyncio.StreamWriter, message: Delivered) -> None:
        self.waiting.set()
        self.held += 1
        await self.hold.wait()
        if self.judge:
            await self.judge(message)
        queue_id = f"4XyZ{len(self.delivered) + 1:04d}"
        if self.answers.get("message", "2").startswith("2"):
            self.delivered.append(message)
        elif self.answers["message"] == "lost":
            self.delivered.append(message)
            raise EOFError
        await self._say(writer, "message", f"250 2.0.0 Ok: queued as {queue_id}")
