"""Mail that goes out: log-in, signature, the relay; and what is not let out."""

from __future__ import annotations

import imaplib
import re
import smtplib

import dkim
import pytest
import yaml

from tests.relays import TABLE, rewritten
from tests.stack.clients import Edge, Mailbox, Sink, message
from tests.stack.scenes import GTUBE
from tests.stack.stack import eventually


@pytest.fixture
def sink(stack) -> Sink:
    return Sink(stack.info)


def dkim_record(stack, domain: str) -> bytes:
    """The TXT record of the key as the container prints it for the operator, without quotes and line ends."""
    printed = stack.exec("rspamd", "sh", "/etc/rspamd/bin/dkim-key", domain)
    return "".join(part for n, part in enumerate(printed.split('"')) if n % 2).encode()


def test_a_submitted_mail_reaches_the_relay_signed_for_its_domain(mailboxes, sink, stack):
    writer = mailboxes.new()
    writer.send(
        message("to the world", sender=writer.address, to="friend@far.example", received=False),
        "friend@far.example",
    )
    raw = sink.raw("to the world")
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: dkim_record(stack, mailboxes.domain))
    assert f"d={mailboxes.domain}".encode() in raw


def test_the_signature_survives_what_the_relay_rewrites(mailboxes, sink, stack):
    writer = mailboxes.new()
    mail = message("rewritten", sender=writer.address, to="friend@far.example", received=False)
    writer.send(mail, "friend@far.example")
    raw = sink.raw("rewritten")
    relay = yaml.safe_load((stack.repository / "answers.yml").read_text())["relay"]
    raw = rewritten(raw, TABLE[relay], mailboxes.domain)
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: dkim_record(stack, mailboxes.domain))
    assert b"s=mailctl1;" in raw


def test_a_changed_mail_does_not_verify(mailboxes, sink, stack):
    writer = mailboxes.new()
    writer.send(
        message("will be changed", sender=writer.address, to="friend@far.example", received=False),
        "friend@far.example",
    )
    raw = sink.raw("will be changed").replace(b"harbour", b"airport")
    assert not dkim.verify(raw, dnsfunc=lambda name, timeout=5: dkim_record(stack, mailboxes.domain))


def test_submission_works_with_tls_from_the_start_as_well(mailboxes, sink):
    writer = mailboxes.new()
    mail = message("implicit tls", sender=writer.address, to="friend@far.example", received=False)
    writer.send(mail, "friend@far.example", implicit=True)
    assert sink.raw("implicit tls")


def test_the_readers_address_and_program_are_not_told_to_the_world(mailboxes, sink):
    writer = mailboxes.new()
    writer.send(
        message("private", sender=writer.address, to="friend@far.example", received=False),
        "friend@far.example",
    )
    head = sink.raw("private").partition(b"\r\n\r\n")[0]
    assert b"unknown [1" not in head and b"Authenticated sender" not in head


@pytest.mark.parametrize("to", ["friend@far.example", "{own}"])
def test_without_log_in_nothing_is_submitted(mailboxes, to):
    writer = mailboxes.new()
    mail = message("no login", sender=writer.address)
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        writer.send(mail, to.format(own=writer.address), login=False)


def test_a_wrong_password_is_refused(mailboxes):
    writer = mailboxes.new()
    writer.password = "wrong" * 4
    with pytest.raises(smtplib.SMTPAuthenticationError):
        writer.send(message("wrong password"), "friend@far.example")


def test_log_in_is_not_even_offered_without_tls(stack):
    host, port = stack.info["submission"].split(":")
    with smtplib.SMTP(host, int(port), timeout=30) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("auth")
        assert smtp.has_extn("starttls")


def test_nobody_sends_as_somebody_else(mailboxes):
    writer, other = mailboxes.new(), mailboxes.new()
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="not owned"):
        writer.send(message("forged", sender=other.address), "friend@far.example", sender=other.address)


def test_the_owner_of_an_alias_sends_as_that_alias(mailboxes, accounts, sink):
    writer = mailboxes.new()
    alias = mailboxes.address("office")
    accounts.add_alias(alias, writer.address)
    writer.send(message("as the office", sender=alias, received=False), "friend@far.example", sender=alias)
    assert sink.raw("as the office")


def test_only_those_who_may_send_as_an_alias_of_several_do(mailboxes, accounts, sink):
    writer, other, alias = mailboxes.new(), mailboxes.new(), mailboxes.address("team")
    accounts.add_alias(alias, writer.address, other.address)
    accounts.switch_sending(alias, other.address, "no")

    def send(mailbox: Mailbox, subject: str) -> None:
        mail = message(subject, sender=alias, received=False)
        mailbox.send(mail, "friend@far.example", sender=alias)

    send(writer, "as one of the team")
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="not owned"):
        send(other, "forbidden")
    accounts.switch_sending(alias, other.address, "yes")
    send(other, "allowed again")
    assert sink.raw("as one of the team") and sink.raw("allowed again")


@pytest.mark.parametrize("also", ["", "postmaster@far.example"], ids=["", "with postmaster among them"])
def test_one_user_cannot_flood_the_world(stack, mailboxes, also):
    """What a stolen password can do is limited; no recipient lifts the limit for the whole mail.

    The monitor knows the line of the log (tests/mailctl/test_monitor_conditions.py).
    """
    writer = mailboxes.new()
    recipients = [f"victim{n}@far.example" for n in range(150)] + ([also] if also else [])
    # The first one fills the measure, the second finds it full.
    writer.send(message("flood", sender=writer.address, received=False), recipients)
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        writer.send(message("more of it", sender=writer.address, received=False), recipients)
    assert refusal.value.smtp_code == 451
    line = rf'milter-reject: .*Ratelimit "per_user" exceeded.* from=<{re.escape(writer.address)}>'
    eventually(lambda: re.search(line, stack.logs("postfix")))


def test_mail_between_own_users_stays_inside(mailboxes, sink):
    writer, reader = mailboxes.new(), mailboxes.new()
    writer.send(
        message("between us", sender=writer.address, to=reader.address, received=False), reader.address
    )
    assert reader.read("between us")
    assert not sink.has("between us")


def test_the_inbound_port_relays_for_nobody(stack):
    """Asked from a container of the network `mail`, as an intruder in the API would."""
    script = (
        "import smtplib; s = smtplib.SMTP('postfix', 25, timeout=30); s.ehlo('intruder');"
        "print(s.has_extn('auth')); s.mail('a@b.example'); print(s.rcpt('victim@far.example'))"
    )
    printed = stack.exec("mailserver-api", "python", "-c", script)
    assert "False" in printed and "Relay access denied" in printed


def test_a_virus_does_not_leave_the_house(scanned, mailboxes):
    writer = mailboxes.new()
    text = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
    with pytest.raises(smtplib.SMTPDataError, match="virus"):
        writer.send(
            message("outgoing virus", sender=writer.address, text=text, received=False), "friend@far.example"
        )


def test_spam_does_not_leave_the_house_and_its_sender_reads_why(mailboxes):
    writer = mailboxes.new()
    with pytest.raises(smtplib.SMTPDataError, match="Gtube pattern"):
        mail = message("outgoing spam", sender=writer.address, text=GTUBE.decode() + "\n", received=False)
        writer.send(mail, "friend@far.example")


def test_moving_mail_into_junk_and_out_of_it_teaches_the_filter(stack, mailboxes):
    reader = mailboxes.new()

    def learned() -> int:
        password = stack.secret("rspamd_controller_password")
        printed = stack.exec("rspamd", "rspamc", "-h", "127.0.0.1:11334", "-P", password, "stat")
        return int(next(ln for ln in printed.splitlines() if ln.startswith("Messages learned")).split()[-1])

    before = learned()
    edge = Edge(stack.info)
    assert edge.post(message("teach me", to=reader.address), reader.address).status_code == 200
    reader.move("teach me", "INBOX", "Junk")
    assert learned() == before + 1
    reader.move("teach me", "Junk", "INBOX")
    assert learned() == before + 2


def test_the_password_that_rspamd_ships_with_is_refused(stack):
    with pytest.raises(AssertionError, match=r"401|Unauthorized"):
        printed = stack.exec("rspamd", "rspamc", "-h", "127.0.0.1:11334", "-P", "q1", "stat")
        raise AssertionError(printed)


def test_a_password_changed_in_usermgmt_acts_at_once(mailboxes, accounts, stack):
    reader = mailboxes.new()
    assert reader.imap.noop()[0] == "OK"
    accounts.change_password(reader.address, "another long one")
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        Mailbox(reader.address, stack.info).imap.noop()
    assert Mailbox(reader.address, stack.info, "another long one").imap.noop()[0] == "OK"
