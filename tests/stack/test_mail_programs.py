"""Mail programs get a certificate of a public authority, and nobody who is in notices when it changes."""

from __future__ import annotations

import imaplib
import json
import smtplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from tests.pebble import Pebble
from tests.stack.clients import PASSWORD, Mailbox, Mailboxes, message
from tests.stack.outside import FakeCloudflare, FakeDns
from tests.stack.stack import Stack, eventually, run

pytestmark = pytest.mark.parametrize("stack", ["antivirus off"], indirect=True)

HOST = "imap.example.com"


@pytest.fixture
def name_resolves(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host of mail programs is this machine, as their DNS would say."""
    real = socket.create_connection

    def connect(address: tuple[str, int], *rest: Any, **options: Any) -> socket.socket:
        host, port = address
        return real(("127.0.0.1" if host == HOST else host, port), *rest, **options)

    monkeypatch.setattr(socket, "create_connection", connect)


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[tuple[Pebble, dict[str, str]]]:
    """A real ACME server, the zone that it looks at, and what mailctl needs to know of both."""
    with FakeCloudflare("example.com") as cloudflare, FakeDns(cloudflare.state) as dns:
        cloudflare.scopes &= {"zone", "dns"}
        with Pebble(tmp_path / "pebble", dns.address) as pebble:
            yield (
                pebble,
                {
                    "ACME_DIRECTORY": pebble.directory,
                    "REQUESTS_CA_BUNDLE": str(pebble.bundle),
                    "ACME_CLOUDFLARE_TOKEN": cloudflare.token,
                    "CLOUDFLARE_BASE_URL": cloudflare.url,
                    "RESOLVER": dns.address,
                },
            )


def renew(stack: Stack, settings: dict[str, str], *options: str) -> dict[str, Any]:
    """`mailctl certificate`, told where this trial keeps its things."""
    home = stack.repository / ".local"
    places = {"SECRETS_DIR": home / "secrets", "SSD_PATH": home / "ssd", "HDD_PATH": home / "hdd"}
    env = {
        **settings,
        **{name: str(path) for name, path in places.items()},
        "COMPOSE_PROJECT_NAME": stack.project,
    }
    words = ("certificate", "--json", "--resolver", settings["RESOLVER"], *options)
    return json.loads(run(".venv/bin/mailctl", *words, cwd=stack.repository, env=env))


def port(stack: Stack, name: str) -> int:
    return int(stack.info[name].rpartition(":")[2])


def reader(stack: Stack, box: Mailbox, trusted: ssl.SSLContext) -> imaplib.IMAP4_SSL:
    session = imaplib.IMAP4_SSL(HOST, port(stack, "imaps"), ssl_context=trusted, timeout=30)
    session.login(box.address, PASSWORD)
    return session


def writer(stack: Stack, box: Mailbox, trusted: ssl.SSLContext) -> smtplib.SMTP_SSL:
    session = smtplib.SMTP_SSL(HOST, port(stack, "submissions"), context=trusted, timeout=60)
    session.login(box.address, PASSWORD)
    return session


def test_a_certificate_is_obtained_and_renewed_while_people_read_and_send(
    stack: Stack, mailboxes: Mailboxes, authority: tuple[Pebble, dict[str, str]], name_resolves: None
) -> None:
    pebble, settings = authority
    box, subject = mailboxes.new("phone"), f"While it changed {uuid4().hex[:8]}"
    reading, sending = reader(stack, box, box.tls), writer(stack, box, box.tls)
    phone = ssl.create_default_context(cadata=pebble.roots())
    with pytest.raises(ssl.SSLCertVerificationError):
        reader(stack, box, phone)
    seen = set()
    for options in ((), ("--force",)):
        assert renew(stack, settings, *options)["state"] == "renewed"
        eventually(lambda: reader(stack, box, phone).noop()[0] == "OK")
        eventually(lambda: writer(stack, box, phone).noop()[0] == 250)
        with smtplib.SMTP(HOST, port(stack, "submission"), timeout=60) as smtp:
            smtp.starttls(context=phone)
            assert smtp.login(box.address, PASSWORD)[0] == 235
            seen.add(smtp.sock.getpeercert(binary_form=True))
        # Who was in goes on, under whichever certificate the session began: Dovecot's own way would be to end
        # sessions six seconds after a reload.
        end = monotonic() + 9
        eventually(
            lambda end=end: reading.noop()[0] == "OK" and sending.noop()[0] == 250 and monotonic() > end
        )
    assert len(seen) == 2
    mail = message(subject, sender=box.address, to=box.address, received=False)
    sending.sendmail(box.address, [box.address], mail.as_bytes())
    assert subject.encode() in box.read(subject)
    # Without that name, services and their authority are as they were.
    assert box.imap.noop()[0] == "OK"
    reading.select()
    eventually(lambda: reading.search(None, "SUBJECT", f'"{subject}"')[1][0])


def test_the_profile_of_an_iphone_is_signed_by_what_the_servers_show(
    stack: Stack, mailboxes: Mailboxes, authority: tuple[Pebble, dict[str, str]], tmp_path: Path
) -> None:
    pebble, settings = authority
    assert renew(stack, settings, "--force")["own"] is False
    code = (
        "import sys; from pathlib import Path; from usermgmt.services.programs import signed\n"
        "sys.stdout.write(signed(b'profile', Path('/run/secrets/client_tls')).hex())"
    )
    (tmp_path / "profile").write_bytes(bytes.fromhex(stack.exec("usermgmt", "python", "-c", code)))
    (tmp_path / "roots.pem").write_text(pebble.roots())
    words = ("cms", "-verify", "-inform", "DER", "-in", "profile", "-CAfile", "roots.pem", "-purpose", "any")
    assert "profile" in run("openssl", *words, cwd=tmp_path)
