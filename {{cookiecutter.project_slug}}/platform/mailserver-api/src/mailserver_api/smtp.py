"""SMTP with postfix: sessions that are used again, one write a step, nothing at risk on a stale connection.

The message goes over as one BDAT (RFC 3030), so every byte stays as it came. MAIL and RCPT come before
any of it: a session that broke while it was idle is noticed there, and a new one replaces it.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from mailserver_api.addresses import Envelope
from mailserver_api.spool import Message
from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict, classify

EHLO_NAME = "mailserver-api.internal"
# Postfix closes an idle session after 300 s, and after 10 s when it is short of processes.
IDLE_SECONDS = 8.0
CLOSE_SECONDS = 0.5
# How long an idle session may take to show that it still works, before a new one is tried.
BEGIN_SECONDS = 8.0
# Of several Postfixes one may have burnt with its host while its address is known: the next one is tried.
NEXT_ADDRESS_SECONDS = 1.0
READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Server:
    """Where postfix listens. With `ca_file`, STARTTLS with a certificate of that CA is demanded.

    With `reports`, the sender of a mail hears when it fails later.
    """

    host: str
    port: int
    connect_timeout: float
    ca_file: Path | None = None
    reports: bool = False


class ConversationError(Exception):
    """Postfix gave an unwanted answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


#: What else ends a conversation: a broken connection or a time limit, the end of the stream, an endless line.
BREAKS = (OSError, EOFError, ValueError)


class Session:
    """One connection. Every step raises ConversationError or one of BREAKS; `stage` says which."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._extensions: set[str] = set()
        self._idle_since = 0.0
        self.stage = Stage.CONNECT
        self._is_connected = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def connect(self) -> None:
        """Connect, encrypt if demanded, and be ready for MAIL, within the server's connect_timeout."""
        server = self._server
        async with asyncio.timeout(server.connect_timeout):
            self._reader, self._writer = await asyncio.open_connection(
                server.host, server.port, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS
            )
            self._is_connected = True
            await self._expect(Stage.CONNECT, 220)
            await self._ehlo()
            if server.ca_file is not None:
                await self._command(Stage.STARTTLS, "STARTTLS", 220)
                await self._encrypt(server.ca_file)
                await self._ehlo()
        for needed in ("CHUNKING", "PIPELINING"):
            if needed not in self._extensions:
                raise ConversationError(Reply(Stage.EHLO, 0, f"{needed} is not offered"))

    async def begin(self, envelope: Envelope, size: int | None, is_8bit: bool) -> Reply:
        """MAIL and RCPT; `size` in bytes, None if it is not known. Without a recipient, MAIL alone."""
        mail = f"MAIL FROM:<{envelope.sender}>"
        if size is not None and "SIZE" in self._extensions:
            mail += f" SIZE={size}"
        if is_8bit and "8BITMIME" in self._extensions:
            mail += " BODY=8BITMIME"
        if not envelope.recipient:
            return await self._command(Stage.MAIL, mail)
        recipient = f"RCPT TO:<{envelope.recipient}>"
        if "DSN" in self._extensions and not self._server.reports:
            # The sender was told 200: whatever happens later, no report goes to a stranger (RFC 3461).
            recipient += " NOTIFY=NEVER"
        # Both in one write (RFC 2920), as our Postfix offers it.
        self._writer.write(f"{mail}\r\n{recipient}\r\n".encode("ascii"))
        await self._expect(Stage.MAIL)
        return await self._expect(Stage.RCPT)

    async def send(self, head: bytes, message: Message) -> Reply:
        """Hand over a line of our own and the message, byte for byte. An early answer ends the sending."""
        self.stage = Stage.MESSAGE
        answer = asyncio.create_task(self._expect(Stage.MESSAGE))
        try:
            message.file.seek(0)
            # One write for the command and the first block: most mails are one segment.
            command = f"BDAT {len(head) + message.size} LAST\r\n".encode()
            block = command + head + message.file.read(READ_BYTES)
            while block and not answer.done():
                self._writer.write(block)
                await self._writer.drain()
                block = message.file.read(READ_BYTES)
        except ConnectionError:
            pass  # a server that refuses early may hang up; what it said is in the answer
        try:
            return await answer
        finally:
            answer.cancel()

    async def reset(self) -> Reply:
        """Forget MAIL and RCPT."""
        return await self._command(Stage.RCPT, "RSET")

    def rest(self) -> None:
        """The session is idle from now on."""
        self._idle_since = time.monotonic()

    @property
    def is_stale(self) -> bool:
        """Whether postfix hung up while the session was idle, or soon will."""
        return self._reader.at_eof() or time.monotonic() - self._idle_since > IDLE_SECONDS

    async def close(self) -> None:
        """Say QUIT and hang up, shortly waiting for postfix to do so first: it counts open sessions."""
        if not self._is_connected:
            return
        with contextlib.suppress(*BREAKS):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._extensions:  # earlier it would be a command out of turn
                    self._writer.write(b"QUIT\r\n")
                    while await self._reader.read(READ_BYTES):
                        pass
        self._writer.transport.abort()

    async def _ehlo(self) -> None:
        self._writer.write(f"EHLO {EHLO_NAME}\r\n".encode())
        reply = await self._expect(Stage.EHLO)
        self._extensions = {line.partition(" ")[0].upper() for line in reply.text.split("\n")[1:]}

    async def _encrypt(self, ca_file: Path) -> None:
        context = ssl.create_default_context(cafile=str(ca_file))
        loop = asyncio.get_running_loop()
        # A new reader: nothing said before TLS may count as an answer after it.
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport = await loop.start_tls(
            self._writer.transport, protocol, context, server_hostname=self._server.host
        )
        if transport is None:
            raise EOFError("the connection was closed")
        protocol.connection_made(transport)
        self._plain = self._writer  # kept, as one that is collected closes the connection
        self._reader, self._writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    async def _command(self, stage: Stage, line: str, wanted: int = 250) -> Reply:
        self.stage = stage
        self._writer.write(f"{line}\r\n".encode("ascii"))
        return await self._expect(stage, wanted)

    async def _expect(self, stage: Stage, wanted: int = 250) -> Reply:
        self.stage, lines, line = stage, [], b"-"
        while line[3:4] in (b"-", b""):
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise EOFError("the connection was closed")
            lines.append(_readable(line[4:] if line[:3].isdigit() else line))
            if not line[:3].isdigit():
                break
        code = int(line[:3]) if line[:3].isdigit() else 0
        reply = Reply(stage, code, "\n".join(lines) if stage is Stage.EHLO else " ".join(lines)[:500])
        if code != wanted:
            raise ConversationError(reply)
        return reply


Step = Callable[[Session], Awaitable[Reply]]


class Pool:
    """Sessions with one server, each used for many mails one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._idle: list[Session] = []

    async def submit(self, envelope: Envelope, head: bytes, message: Message, seconds: float) -> Outcome:
        """Hand a message over; what postfix said. Raises nothing, whatever the server does."""
        size = len(head) + message.size
        return await self._converse(
            lambda session: session.begin(envelope, size, message.is_8bit),
            lambda session: session.send(head, message),
            seconds,
        )

    async def ask(self, envelope: Envelope, size: int | None, seconds: float) -> Outcome:
        """What postfix says to the envelope alone (ACCEPTED: it would take the message). Raises nothing."""
        return await self._converse(
            lambda session: session.begin(envelope, size, False), Session.reset, seconds
        )

    async def close(self) -> None:
        """Hang up all idle sessions."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(session.close() for session in idle))

    async def _converse(self, begin: Step, finish: Step, seconds: float) -> Outcome:
        is_used, is_good = bool(self._idle), False
        session = self._idle.pop() if is_used else Session(self._server)
        try:
            async with asyncio.timeout(seconds):
                if is_used and not await self._begins(session, begin):
                    session, is_used = Session(self._server), False
                if not is_used:
                    await session.connect()
                    await begin(session)
                reply = await finish(session)
                is_good = True
        except ConversationError as error:
            reply = error.reply
        except BREAKS as error:
            reply = Reply(session.stage, 0, _readable(f"{type(error).__name__}: {error}".encode()))
        finally:
            if is_good:
                session.rest()
                self._idle.append(session)
            else:
                await session.close()
        return Outcome(Verdict.ACCEPTED if is_good else classify(reply), reply, reply.queue_id)

    async def _begins(self, session: Session, begin: Step) -> bool:
        """Whether an idle session still works. If not, all go, as they probably share its fate."""
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                if not session.is_stale:
                    await begin(session)
                    return True
        except ConversationError as error:
            if error.reply.code >= 500:
                raise
        except BREAKS:
            pass
        await session.close()
        await self.close()
        return False


def _readable(text: bytes) -> str:
    """One printable ASCII line of at most 500 characters, fit for logs and bounce reasons."""
    line = b" ".join(text.split()).decode("ascii", "replace")
    return "".join(char if " " <= char <= "~" else "?" for char in line)[:500]
