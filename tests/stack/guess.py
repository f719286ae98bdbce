"""Guesses a password in the mail network, from several addresses at once; prints what was let in.

It runs in a container there that may give itself addresses. The argument is JSON: `who`, `addresses`, and
`guesses` (so many different passwords by each protocol) or `password`.
"""

import concurrent.futures
import fcntl
import imaplib
import json
import smtplib
import socket
import ssl
import struct
import sys
from base64 import b64encode

SET_ADDRESS = 0x8916
GIVEN = json.loads(sys.argv[1])
WHO, ADDRESSES = GIVEN["who"], GIVEN["addresses"]
TRUSTED = ssl.create_default_context(cafile="/ca.crt")


def take(number: int, address: str) -> None:
    """Give this container one more address."""
    wanted = struct.pack("16sH2x4s8x", f"eth0:{number}".encode(), socket.AF_INET, socket.inet_aton(address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SET_ADDRESS, wanted)


class Imap(imaplib.IMAP4):
    """A session from one of the addresses."""

    def __init__(self, here: str) -> None:
        self.here = here
        super().__init__("dovecot", 31143, 60)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (self.here, 0))


def imap(here: str, password: str) -> bool:
    session = Imap(here)
    session.starttls(TRUSTED)
    try:
        return session.login(WHO, password)[0] == "OK"
    except imaplib.IMAP4.error:
        return False


def submission(here: str, password: str) -> bool:
    with smtplib.SMTP("postfix", 587, timeout=60, source_address=(here, 0)) as session:
        session.starttls(context=TRUSTED)
        try:
            return session.login(WHO, password)[0] == 235
        except smtplib.SMTPAuthenticationError:
            return False


def sieve(here: str, password: str) -> bool:
    plain = socket.create_connection(("dovecot", 34190), 60, (here, 0))
    answer(plain)
    plain.sendall(b"STARTTLS\r\n")
    answer(plain)
    session = TRUSTED.wrap_socket(plain, server_hostname="dovecot")
    answer(session)
    words = b64encode(f"\0{WHO}\0{password}".encode()).decode()
    session.sendall(f'AUTHENTICATE "PLAIN" "{words}"\r\n'.encode())
    return answer(session).startswith(b"OK")


def answer(session: socket.socket) -> bytes:
    """The last line of an answer of ManageSieve."""
    said = b""
    while not said.endswith(b"\r\n") or not (line := said.splitlines()[-1]).startswith(
        (b"OK", b"NO", b"BYE")
    ):
        more = session.recv(4096)
        if not more:
            raise ConnectionError(f"ManageSieve said no more than {said!r}")
        said += more
    return line


if __name__ == "__main__":
    for number, address in enumerate(ADDRESSES):
        take(number, address)
    tries = [
        (way, here, GIVEN.get("password") or f"{way.__name__} {number}")
        for number in range(GIVEN.get("guesses", 1))
        for here in ADDRESSES
        for way in (imap, submission, sieve)
    ]
    with concurrent.futures.ThreadPoolExecutor(18) as pool:
        taken = list(pool.map(lambda one: one[0](*one[1:]), tries))
    print(*(f"{way.__name__} {here}" for (way, here, _), right in zip(tries, taken, strict=True) if right))
