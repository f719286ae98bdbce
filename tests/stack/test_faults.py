"""Parts fail while mail flows: nothing accepted is lost, nothing unchecked passes, and it recovers."""

from __future__ import annotations

import httpx
import pytest

from tests.stack.clients import Edge, message
from tests.stack.stack import eventually


@pytest.fixture
def edge(stack) -> Edge:
    return Edge(stack.info)


@pytest.fixture
def without(stack):
    """Stops a service for the test and waits afterwards until everything is healthy again."""
    stopped: list[str] = []

    def stop(service: str) -> None:
        stopped.append(service)
        stack.docker("stop", service)

    yield stop
    for service in stopped:
        stack.docker("start", service)
    stack.healthy(*stack.services())


def arrives(stack, reader, subject: str) -> None:
    """Wait for a mail that may be in the queue; asks for another attempt instead of waiting for the next."""

    def look() -> list[bytes]:
        stack.exec("postfix", "postqueue", "-f")
        return reader.find(subject)

    eventually(look, limit=90, every=1)


@pytest.mark.parametrize("service", ["rspamd", "mariadb", "postfix", "dovecot"])
def test_while_a_part_is_away_the_sender_is_asked_to_try_again(edge, mailboxes, without, stack, service):
    reader = mailboxes.new()
    subject = f"without {service}"
    mail = message(subject, to=reader.address)
    without(service)
    answer = edge.post(mail, reader.address)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    stack.docker("start", service)
    stack.healthy(service)
    eventually(lambda: edge.post(mail, reader.address).status_code == 200, limit=120)
    arrives(stack, reader, subject)
    assert len(reader.find(subject)) == 1


def test_without_the_virus_scanner_nothing_passes(scanned, edge, mailboxes, without):
    reader = mailboxes.new()
    without("clamav")
    # Noticed before any mail is: the API's own healthcheck fails.
    eventually(lambda: httpx.get(f"{scanned.info['api']}/ready", timeout=30).status_code == 503, 60)
    assert edge.post(message("unscanned", to=reader.address), reader.address).status_code == 503


def test_a_scanner_that_answers_with_an_error_lets_nothing_pass(scanned, edge, mailboxes):
    """ClamAV reports its own troubles as a verdict that is none; rspamd alone would deliver the mail."""
    reader = mailboxes.new()
    # With its folder for temporary files full, the scanner cannot store what it is to scan.
    scanned.exec(
        "clamav", "sh", "-c", "head -c 400000000 /dev/zero >/tmp/full 2>/dev/null; test -s /tmp/full"
    )
    try:
        answer = edge.post(message("scanner in trouble", to=reader.address), reader.address)
        assert answer.status_code == 503, answer.text
    finally:
        scanned.exec("clamav", "rm", "/tmp/full")  # noqa: S108 (inside the container)
    eventually(
        lambda: edge.post(message("scanner well", to=reader.address), reader.address).status_code == 200
    )


def test_mail_that_postfix_accepted_survives_its_sudden_death(edge, mailboxes, stack):
    """Nothing is lost; one whose delivery was just being confirmed may come twice, as SMTP has it."""
    reader = mailboxes.new()
    subjects = [f"survivor {number}" for number in range(5)]
    for subject in subjects:
        assert edge.post(message(subject, to=reader.address), reader.address).status_code == 200
    stack.docker("kill", "postfix")
    stack.docker("start", "postfix")
    stack.healthy("postfix")
    for subject in subjects:
        arrives(stack, reader, subject)
        assert len(reader.find(subject)) <= 2


def test_after_a_restart_of_everything_at_once_mail_is_still_scanned(scanned, edge, mailboxes):
    """As after a reboot: the engine starts all containers together and knows no order."""
    services = scanned.services()
    scanned.docker("stop", *services)
    scanned.docker("start", *services)
    scanned.healthy(*services)
    reader = mailboxes.new()
    eventually(
        lambda: edge.post(message("after reboot", to=reader.address), reader.address).status_code == 200, 60
    )
    text = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    assert edge.post(message("virus after reboot", text=text), reader.address).status_code == 422
