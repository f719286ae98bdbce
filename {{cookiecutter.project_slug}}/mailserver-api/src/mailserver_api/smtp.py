"""One SMTP conversation with postfix, from a worker thread, with a hard end.

With CHUNKING the message goes over as one BDAT, so every byte stays as it came. Without it DATA has to be
used, whose lines must end in CRLF (RFC 5321): bare CR and LF are turned into CRLF, as a stray one could end
the message early on another server (SMTP smuggling).
"""

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from mailserver_api.addresses import Envelope
from mailserver_api.spool import Message
from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict, classify

EHLO_NAME = "mailserver-api.internal"
READ_BYTES = 64 * 1024
_ANY_NEWLINE = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class Server:
    """Where postfix listens. With `ca_file`, STARTTLS with a certificate of that CA is demanded."""

    host: str
    port: int
    connect_timeout: float
    ca_file: Path | None = None


class ConversationError(Exception):
    """The conversation ended early; `reply` says where, and what was said or happened."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class _FailingAs:
    """Context that turns network errors into the ConversationError of a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        # smtplib's exceptions are OSErrors too; ValueError is its answer to a line break in a command.
        if isinstance(error, (OSError, ValueError)):
            raise ConversationError(Reply(self._stage, 0, f"{type(error).__name__}: {error}")) from error


class Conversation:
    """Context of one connection, greeted and ready for MAIL. `deadline` is a time.monotonic() value.

    Every step raises ConversationError on an unwanted answer, a broken connection or at the deadline. A
    watchdog cuts the connection at the deadline, as socket timeouts alone would let a dripping server go on.
    """

    def __init__(self, server: Server, deadline: float) -> None:
        self._server = server
        self._deadline = deadline
        self._smtp = smtplib.SMTP(local_hostname=EHLO_NAME, timeout=server.connect_timeout)
        self._watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), self._cut)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        self._watchdog.start()
        try:
            self._connect()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Say QUIT without waiting for an answer, and hang up."""
        self._watchdog.cancel()
        # The verdict is known already; how the connection ends does not change it.
        with contextlib.suppress(OSError):
            if self._smtp.sock:
                self._smtp.putcmd("quit")
        self._smtp.close()

    def offers(self, extension: str) -> bool:
        """Whether EHLO announced the extension."""
        return self._smtp.has_extn(extension)

    def command(self, stage: Stage, line: str, wanted: int = 250) -> Reply:
        """Send one line and expect `wanted`."""
        with self._step(stage):
            self._smtp.command_encoding = "ascii" if line.isascii() else "utf-8"
            code, text = self._smtp.docmd(line)
        return _expect(Reply(stage, code, _readable(text)), wanted)

    def send_chunk(self, message: Message) -> Reply:
        """Hand over the content with BDAT, byte for byte."""
        message.file.seek(0)
        with self._step(Stage.MESSAGE):
            self._smtp.putcmd(f"BDAT {message.size} LAST")
            return self._send_then_read(_blocks(message.file))

    def send_data(self, message: Message) -> Reply:
        """Hand over the content with DATA, lines ended by CRLF and dots doubled."""
        self.command(Stage.DATA, "DATA", 354)
        message.file.seek(0)
        with self._step(Stage.MESSAGE):
            return self._send_then_read(dot_stuffed(_blocks(message.file)))

    def _connect(self) -> None:
        self._smtp.timeout = max(0.01, min(self._server.connect_timeout, self._remaining()))
        with _FailingAs(Stage.CONNECT):
            code, text = self._smtp.connect(self._server.host, self._server.port)
        _expect(Reply(Stage.CONNECT, code, _readable(text)), 220)
        self._ehlo()
        if self._server.ca_file is not None:
            self._start_tls(self._server.ca_file)
            self._ehlo()

    def _ehlo(self) -> None:
        with self._step(Stage.EHLO):
            code, text = self._smtp.ehlo()
        _expect(Reply(Stage.EHLO, code, _readable(text)), 250)

    def _start_tls(self, ca_file: Path) -> None:
        self.command(Stage.STARTTLS, "STARTTLS", 220)
        with self._step(Stage.STARTTLS):
            context = ssl.create_default_context(cafile=str(ca_file))
            self._smtp.sock = context.wrap_socket(self._socket, server_hostname=self._server.host)
            self._smtp.file = None  # nothing said before TLS may count as an answer after it

    def _send_then_read(self, blocks: Iterator[bytes]) -> Reply:
        try:
            for block in blocks:
                self._socket.settimeout(max(0.01, self._remaining()))
                self._socket.sendall(block)
        except TimeoutError:
            raise
        except OSError as error:
            # A server that refuses early may hang up while we still send; its answer is worth reading.
            return self._last_words(error)
        return _expect(self._read(), 250)

    def _last_words(self, error: OSError) -> Reply:
        try:
            return _expect(self._read(), 250)
        except OSError:
            raise error from None

    def _read(self) -> Reply:
        self._socket.settimeout(max(0.01, self._remaining()))
        code, text = self._smtp.getreply()
        return Reply(Stage.MESSAGE, code, _readable(text))

    def _step(self, stage: Stage) -> _FailingAs:
        remaining = self._remaining()
        if remaining <= 0:
            raise ConversationError(Reply(stage, 0, "no time left"))
        with _FailingAs(stage):
            self._socket.settimeout(remaining)
        return _FailingAs(stage)

    @property
    def _socket(self) -> socket.socket:
        if self._smtp.sock is None:
            raise smtplib.SMTPServerDisconnected("the connection is closed")
        return self._smtp.sock

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()

    def _cut(self) -> None:
        if self._smtp.sock is not None:
            with contextlib.suppress(OSError):  # gone already
                self._smtp.sock.shutdown(socket.SHUT_RDWR)


def submit(server: Server, envelope: Envelope, message: Message, deadline: float) -> Outcome:
    """Hand a message to postfix and return what it said; never raises for anything the server does."""
    try:
        with Conversation(server, deadline) as conversation:
            if envelope.needs_smtputf8 and not conversation.offers("smtputf8"):
                reply = Reply(Stage.EHLO, 0, "SMTPUTF8 is not offered, so addresses must be ASCII")
                return Outcome(Verdict.MALFORMED, reply)
            conversation.command(Stage.MAIL, _mail_command(conversation, envelope, message))
            conversation.command(Stage.RCPT, f"RCPT TO:<{envelope.recipient}>")
            send = conversation.send_chunk if conversation.offers("chunking") else conversation.send_data
            reply = send(message)
            return Outcome(Verdict.ACCEPTED, reply, reply.queue_id)
    except ConversationError as error:
        return Outcome(classify(error.reply), error.reply)


def probe(server: Server, deadline: float) -> str | None:
    """Greet postfix; why that fails, or None."""
    try:
        with Conversation(server, deadline):
            return None
    except ConversationError as error:
        return f"smtp {server.host}:{server.port}: {error.reply}"


def dot_stuffed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks as DATA wants them: CRLF line ends, leading dots doubled, ended by a lone dot."""
    at_line_start, held = True, b""
    for block in blocks:
        block = held + block
        # A CR at the end may be half of a CRLF.
        held, block = (b"\r", block[:-1]) if block.endswith(b"\r") else (b"", block)
        if not block:
            continue
        text = _ANY_NEWLINE.sub(b"\r\n", block).replace(b"\r\n.", b"\r\n..")
        yield b"." + text if at_line_start and text.startswith(b".") else text
        at_line_start = text.endswith(b"\r\n")
    yield (b"" if at_line_start and not held else b"\r\n") + b".\r\n"


def _mail_command(conversation: Conversation, envelope: Envelope, message: Message) -> str:
    line = f"MAIL FROM:<{envelope.sender}>"
    if conversation.offers("size"):
        line += f" SIZE={message.size}"
    if message.is_8bit and conversation.offers("8bitmime"):
        line += " BODY=8BITMIME"
    if envelope.needs_smtputf8:
        line += " SMTPUTF8"
    return line


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(READ_BYTES):
        yield block


def _expect(reply: Reply, wanted: int) -> Reply:
    if reply.code != wanted:
        raise ConversationError(reply)
    return reply


def _readable(text: bytes) -> str:
    """One printable ASCII line of at most 500 characters, fit for logs and bounce reasons."""
    line = b" ".join(text.split()).decode("ascii", "replace")
    return "".join(char if " " <= char <= "~" else "?" for char in line)[:500]
