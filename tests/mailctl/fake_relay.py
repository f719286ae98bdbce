"""A relay that speaks SMTP with TLS, takes one user and key, and remembers every command."""

import base64
import contextlib
import socketserver
import ssl
import threading
from pathlib import Path

GREETING = b"220 relay.example ESMTP"


class FakeRelay(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """`wrapped`: TLS from the first byte, else STARTTLS. `commands` never holds a key."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: Path, key: Path, wrapped: bool) -> None:
        self.login = ("apikey", "SG.right.key")
        self.wrapped, self.commands = wrapped, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(("127.0.0.1", 0), _Session)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __enter__(self) -> "FakeRelay":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Session(socketserver.BaseRequestHandler):
    server: FakeRelay

    def handle(self) -> None:
        # Whoever distrusts our certificate hangs up.
        with contextlib.suppress(OSError):
            self.channel, self.secure = self.request, False
            if self.server.wrapped:
                self._encrypt()
            self._say(GREETING)
            for line in iter(self._line, ""):
                if not self._answer(line):
                    break

    def _encrypt(self) -> None:
        self.channel, self.secure = self.server.context.wrap_socket(self.channel, server_side=True), True

    def _say(self, *lines: bytes) -> None:
        self.channel.sendall(b"".join(line + b"\r\n" for line in lines))

    def _line(self) -> str:
        read = b""
        while not read.endswith(b"\n") and (byte := self.channel.recv(1)):
            read += byte
        return read.decode().strip()

    def _answer(self, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        self.server.commands.append(verb.upper())
        if verb.upper() == "EHLO":
            self._say(b"250-relay.example", b"250 AUTH PLAIN" if self.secure else b"250 STARTTLS")
        elif verb.upper() == "STARTTLS":
            self._say(b"220 go ahead")
            self._encrypt()
        elif verb.upper() == "AUTH":
            _, user, key = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")
            right = (user, key) == self.server.login
            self._say(b"235 2.7.0 welcome" if right else b"535 5.7.8 authentication failed")
        elif verb.upper() == "QUIT":
            self._say(b"221 bye")
            return False
        else:
            self._say(b"502 not here")
        return True
