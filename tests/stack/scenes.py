"""One reader, one mail and one state of the backend: what the Worker's tables are made of."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from time import sleep

from tests.stack import mails
from tests.stack.breaker import Breaker
from tests.stack.clients import Accounts, Mailbox, Mailboxes
from tests.stack.stack import Stack, eventually
from tests.stack.worker import Worker

IDN = ("bücher.example", "xn--bcher-kva.example")
# Put together here, so that no scanner takes this file itself for a virus.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@dataclass
class Scene:
    """A stack with its Worker, and the reader whose mailbox is looked at in the end."""

    stack: Stack
    worker: Worker
    breaker: Breaker
    accounts: Accounts
    mailboxes: Mailboxes
    reader: Mailbox

    def settle(self, limit: float = 90) -> None:
        """Wait until Postfix's queue is empty; what is deferred is tried at once."""

        def is_empty() -> bool:
            queue = self.stack.exec("postfix", "postqueue", "-j")
            if queue.strip():
                self.stack.exec("postfix", "postqueue", "-f")
            return not queue.strip()

        try:
            eventually(is_empty, limit, every=0.3)
        except AssertionError as error:
            raise AssertionError(f"still queued: {self.stack.exec('postfix', 'postqueue', '-j')}") from error

    def copies(self, raw: bytes) -> int:
        """How often this mail is in the reader's mailbox."""
        return [message_id(mail) for mail in self.reader.all()].count(message_id(raw))


State = Callable[[Scene], AbstractContextManager[None]]


def message_id(raw: bytes) -> str:
    """The Message-ID of a mail."""
    found = re.search(rb"^Message-ID:\s*(\S+)", raw, re.MULTILINE | re.IGNORECASE)
    assert found, f"no Message-ID in {raw[:500]!r}"
    return found[1].decode()


# ---- States of the backend


@contextmanager
def usual(_: Scene) -> Iterator[None]:
    """Everything works."""
    yield


def down(service: str) -> State:
    return lambda scene: scene.breaker.down(service)


def full(service: str, folder: str) -> State:
    return lambda scene: scene.breaker.full(service, folder)


def frozen(service: str) -> State:
    return lambda scene: scene.breaker.frozen(service)


def slow(service: str, seconds: float) -> State:
    """The service is as busy as can be for some seconds, and then goes on."""

    @contextmanager
    def state(scene: Scene) -> Iterator[None]:
        scene.stack.docker("pause", service)
        with ThreadPoolExecutor(1) as pool:
            over = pool.submit(lambda: (sleep(seconds), scene.stack.docker("unpause", service)))
            yield
            over.result()

    return state


@contextmanager
def switched_off(scene: Scene) -> Iterator[None]:
    """The administrator has switched the reader's mailbox off."""
    scene.accounts.switch(scene.reader.address, "no")
    yield
    scene.accounts.switch(scene.reader.address, "yes")


@contextmanager
def mailbox_full(scene: Scene) -> Iterator[None]:
    """The mailbox, of 10 MiB, holds more than it may: Dovecot lets the mail that fills it pass."""
    scene.accounts.change_quota(scene.reader.address, "10M")
    filler = mails.of_size(scene.reader.address, 12 * mails.MIB, "filler")
    assert str(scene.worker.deliver(filler, scene.reader.address)) == "accepted"
    scene.settle()
    yield


@contextmanager
def second_token(scene: Scene) -> Iterator[None]:
    """A rotation: the Worker's token is the older of two that are valid."""
    with scene.breaker.tokens("n" * 43, scene.worker.token):
        yield


@contextmanager
def other_token(scene: Scene) -> Iterator[None]:
    """The API knows another token than the Worker has."""
    with scene.breaker.tokens("o" * 43):
        yield


# ---- Mails that the filter refuses, and lines that are slow


def attached(content: bytes, name: str) -> mails.Mail:
    """A mail with one attachment, in base64."""

    def mail(to: str) -> bytes:
        fields = ('Content-Type: multipart/mixed; boundary="b"',)
        part = (
            f"Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename={name}\r\n"
        )
        body = base64.encodebytes(content).replace(b"\n", b"\r\n")
        parts = b"--b\r\nContent-Type: text/plain\r\n\r\nAttached.\r\n--b\r\n" + part.encode()
        parts += b"Content-Transfer-Encoding: base64\r\n\r\n" + body + b"--b--\r\n"
        return mails.head(to, "attached", *fields) + b"\r\n" + parts

    return mail


def zipped(content: bytes, name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def saying(text: bytes) -> mails.Mail:
    return lambda to: mails.plain(to, "saying", text + b"\r\n")


def sized(size: int) -> mails.Mail:
    return lambda to: mails.of_size(to, size)


def drip(raw: bytes, seconds: float) -> Iterator[bytes]:
    """The mail in ten pieces over some seconds, as a slow line brings it."""
    step = len(raw) // 10 + 1
    for start in range(0, len(raw), step):
        yield raw[start : start + step]
        sleep(seconds / 10)


def explain(scene: Scene, raw: bytes) -> str:
    """What the API said about the mail, for the message of a failure."""
    lines = scene.stack.logs("mailserver-api").splitlines()
    return (
        json.dumps([line for line in lines if scene.reader.address in line][-5:], indent=1)
        + f"\n{message_id(raw)}"
    )
