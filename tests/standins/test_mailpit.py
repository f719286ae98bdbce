"""The stand-in for Mailpit: STARTTLS, log-in, and the part of its API that tests use."""

from __future__ import annotations

import json
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.standins.hardened import Container, docker

PORTS = ("--user=65534:65534", "--publish=127.0.0.1::1025", "--publish=127.0.0.1::8025")


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Path:
    """A self-signed certificate for the sink."""
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"), "-days", "2"]
    subprocess.run([*command, "-subj", "/CN=mailpit"], check=True, capture_output=True)
    (folder / "tls.key").chmod(0o444)
    return folder


@pytest.fixture(scope="module")
def running(start: Callable[..., Container], certificate: Path) -> Container:
    """A sink that wants STARTTLS and takes any log-in."""
    settings = {"TLS_CERT": "/tls/tls.crt", "TLS_KEY": "/tls/tls.key", "REQUIRE_STARTTLS": "1"}
    settings["AUTH_ACCEPT_ANY"] = "true"
    environment = [f"--env=MP_SMTP_{name}={value}" for name, value in settings.items()]
    container = start(
        "mailpit", *PORTS, *environment, f"--volume={certificate}:/tls:ro", "--env=MP_MAX_MESSAGES=2"
    )
    container.wait_healthy("/mailpit", "readyz")
    return container


@pytest.fixture
def sink(running: Container) -> Container:
    """That sink, emptied."""
    call(running, "/api/v1/messages", method="DELETE")
    return running


def client(container: Container) -> smtplib.SMTP:
    """An SMTP client that has greeted."""
    connection = smtplib.SMTP(*container.address(1025), timeout=60)
    connection.ehlo("tests.example")
    return connection


def deliver(container: Container, subject: str, recipients: list[str]) -> None:
    """Send one mail by STARTTLS and log-in."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Ann <ann@example.com>", "bob@example.com", subject
    message["Message-ID"] = f"<{subject.strip('<>')}@example.com>"
    message.set_content("Grüße")
    with client(container) as connection:
        connection.starttls(context=ssl._create_unverified_context())  # noqa: S323 (self-signed on loopback)
        connection.login("relay", "word")
        connection.send_message(message, to_addrs=recipients)


def call(container: Container, path: str, method: str = "GET") -> str:
    """Call the API."""
    host, port = container.address(8025)
    with urlopen(Request(f"http://{host}:{port}{path}", method=method), timeout=60) as answer:
        return str(answer.read().decode())


def listing(container: Container) -> dict[str, Any]:
    """The list of messages."""
    data: dict[str, Any] = json.loads(call(container, "/api/v1/messages"))
    return data


def test_a_mail_is_listed_with_its_addresses_and_the_log_in(sink: Container) -> None:
    deliver(sink, "first", ["bob@example.com", "hidden@example.com"])
    [entry] = listing(sink)["messages"]
    assert entry["From"] == {"Name": "Ann", "Address": "ann@example.com"}
    assert [to["Address"] for to in entry["To"]] == ["bob@example.com"]
    assert [to["Address"] for to in entry["Bcc"]] == ["hidden@example.com"]
    assert (entry["Subject"], entry["MessageID"], entry["Username"]) == (
        "first",
        "first@example.com",
        "relay",
    )


def test_one_message_is_shown_decoded_and_raw(sink: Container) -> None:
    deliver(sink, "second", ["bob@example.com"])
    identifier = listing(sink)["messages"][0]["ID"]
    detail = json.loads(call(sink, f"/api/v1/message/{identifier}"))
    assert (detail["Text"].strip(), detail["ReturnPath"]) == ("Grüße", "ann@example.com")
    assert "\nSubject: second\r\n" in call(sink, f"/api/v1/message/{identifier}/raw")
    assert json.loads(call(sink, "/api/v1/message/latest/headers"))["Subject"] == ["second"]


def test_people_can_read_the_mails_on_a_page(sink: Container) -> None:
    deliver(sink, "<third>", ["bob@example.com"])
    assert "&lt;third&gt;" in call(sink, "/")


def test_the_oldest_mail_goes_when_it_is_full_and_all_go_on_request(sink: Container) -> None:
    for subject in ("one", "two", "three"):
        deliver(sink, subject, ["bob@example.com"])
    assert [entry["Subject"] for entry in listing(sink)["messages"]] == ["three", "two"]
    assert call(sink, "/api/v1/messages", method="DELETE") == "ok"
    assert listing(sink)["total"] == 0


def test_mail_without_starttls_is_refused_and_log_in_is_not_offered(sink: Container) -> None:
    with client(sink) as connection:
        assert not connection.has_extn("auth")
        assert connection.mail("ann@example.com")[0] == 530


def test_health_is_told_over_http(sink: Container) -> None:
    assert call(sink, "/livez") == call(sink, "/readyz") == ""


def test_implicit_tls_takes_a_log_in_too(start: Callable[..., Container], certificate: Path) -> None:
    settings = {
        "TLS_CERT": "/tls/tls.crt",
        "TLS_KEY": "/tls/tls.key",
        "REQUIRE_TLS": "1",
        "AUTH": "relay:word",
    }
    environment = [f"--env=MP_SMTP_{name}={value}" for name, value in settings.items()]
    container = start("mailpit", *PORTS, *environment, f"--volume={certificate}:/tls:ro")
    container.wait_healthy("/mailpit", "readyz")
    context = ssl._create_unverified_context()  # noqa: S323 (self-signed on loopback)
    with smtplib.SMTP_SSL(*container.address(1025), context=context, timeout=60) as connection:
        connection.ehlo("tests.example")
        assert connection.mail("ann@example.com")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError):
            connection.login("relay", "wrong")
        connection.login("relay", "word")
        assert connection.mail("ann@example.com")[0] == 250


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("MP_SMTP_REQUIRE_STARTTLS=1", "without a certificate"),
        ("MP_SMTP_AUTH_ACCEPT_ANY=1", "authentication needs TLS"),
        ("MP_SMTP_BIND_ADDR=smtp", "not host:port"),
        ("MP_SMTP_RELAY_HOST=relay.example", "not supported by this stand-in"),
    ],
)
def test_settings_that_mailpit_or_the_stand_in_cannot_honour_are_refused(
    start: Callable[..., Container], setting: str, complaint: str
) -> None:
    container = start("mailpit", f"--env={setting}")
    assert docker("wait", container.name).stdout.strip() == "1"
    assert complaint in container.log()
