"""A program for filters: ManageSieve (RFC 5804), as much of it as the tests need."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode

from tests.stack.clients import Mailbox
from tests.stack.stack import Stack


def xoauth2(address: str, token: str) -> str:
    """What a program shows that has a token, and no password."""
    return f"user={address}\x01auth=Bearer {token}\x01\x01"


class Refused(Exception):
    """The server answered NO or BYE."""


class ManageSieve:
    """A session of the mailbox's owner with Dovecot's own port, which the local trial does not publish."""

    def __init__(self, stack: Stack, mailbox: Mailbox, token: str = "") -> None:
        """Log in by the password, or by a token of the webmail; raises Refused."""
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
        how = "XOAUTH2" if token else "PLAIN"
        words = xoauth2(mailbox.address, token) if token else f"\0{mailbox.address}\0{mailbox.password}"
        command = f'AUTHENTICATE "{how}" "{b64encode(words.encode()).decode()}"'
        # Before it refuses a token, the server says why, and waits for an answer to that.
        self.ask(f'{command}\r\n""' if token else command)

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
