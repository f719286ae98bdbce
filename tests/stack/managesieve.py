"""A program for filters: ManageSieve (RFC 5804), as much of it as the tests need."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode

from tests.stack.clients import Mailbox
from tests.stack.stack import Stack


class Refused(Exception):
    """The server answered NO or BYE."""


class ManageSieve:
    """A session of the mailbox's owner with Dovecot's own port, which the local trial does not publish."""

    def __init__(self, stack: Stack, mailbox: Mailbox) -> None:
        host = stack.inspect("dovecot")["NetworkSettings"]["Networks"][f"{stack.project}_mail"]["IPAddress"]
        plain = socket.create_connection((host, 34190), 30)
        self.lines = plain.makefile("rb")
        self.answer()
        plain.sendall(b"STARTTLS\r\n")
        self.answer()
        tls = ssl.create_default_context(cafile=stack.info["ca_file"])
        self.socket = tls.wrap_socket(plain, server_hostname="dovecot")
        self.lines = self.socket.makefile("rb")
        self.answer()
        login = b64encode(f"\0{mailbox.address}\0{mailbox.password}".encode()).decode()
        self.ask(f'AUTHENTICATE "PLAIN" "{login}"')

    def ask(self, command: str) -> str:
        """Send one command; what it answers before OK. Raises Refused."""
        self.socket.sendall(command.encode() + b"\r\n")
        return self.answer()

    def answer(self) -> str:
        """The lines up to OK."""
        found = []
        while line := self.lines.readline().decode():
            if line.startswith(("NO", "BYE")):
                raise Refused(line)
            if line.startswith("OK"):
                break
            found.append(line)
        return "".join(found)

    def activate(self, script: str) -> None:
        """Make this the person's own script."""
        self.ask(f'PUTSCRIPT "own" {{{len(script.encode())}+}}\r\n{script}')
        self.ask('SETACTIVE "own"')
