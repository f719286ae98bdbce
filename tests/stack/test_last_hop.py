"""The last hop: what was accepted is in the mailbox, whole and once; what leaves tells nothing about us."""

from __future__ import annotations

import json
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import uuid4

import pytest

from tests.stack.clients import Edge, Mailbox, Mailboxes, Sink, message
from tests.stack.stack import Stack, eventually

MAILS, QUOTA = 16, "10M"
# 1.4 MB, as wide as a line may be.
LARGE = ("u" * 76 + "\n") * 18_000
DUPLICATES = ".dovecot.lda-dupes"


@pytest.fixture
def edge(stack) -> Edge:
    """The call of the Email Worker."""
    return Edge(stack.info)


def everything(stack: Stack, mailbox: Mailbox) -> int:
    """How many mails the mailbox has in all its folders, but for those that say how full it is."""
    query = ("mailbox", "*", "not", "header", "auto-submitted", "auto-generated")
    found = stack.exec("dovecot", "doveadm", "search", "-u", mailbox.address, *query)
    return len(found.split("\n")) - 1


def post(edge: Edge, mail: bytes | EmailMessage, mailbox: Mailbox) -> int:
    """Post as a sender's server does, which tries again for as long as the answer is a temporary one."""

    def final() -> int:
        status = edge.post(mail, mailbox.address).status_code
        return 0 if status in (429, 503) else status

    return eventually(final, 240, every=1)


def test_at_the_edge_of_a_quota_every_accepted_mail_arrives_and_then_the_sender_is_told(
    stack, edge: Edge, mailboxes: Mailboxes
) -> None:
    mailbox = mailboxes.new("edge", quota=QUOTA)
    mails = [message(f"edge {number}", to=mailbox.address, text=LARGE) for number in range(MAILS)]
    with ThreadPoolExecutor(MAILS) as pool:
        codes = list(pool.map(lambda mail: post(edge, mail, mailbox), mails))
    assert set(codes) <= {200, 413, 507}
    eventually(lambda: everything(stack, mailbox) == codes.count(200), 60)
    assert post(edge, message("late", to=mailbox.address), mailbox) in (413, 507)
    assert everything(stack, mailbox) == codes.count(200)


def test_long_lines_and_many_long_headers_arrive_byte_for_byte(edge: Edge, mailboxes: Mailboxes) -> None:
    mailbox, subject = mailboxes.new("long"), f"long {uuid4()}"
    headers = "".join(f"X-Long-{n}: " + "\r\n ".join(["y" * 70] * 580) + "\r\n" for n in range(5))
    head, _, body = (
        message(subject, to=mailbox.address).as_bytes().replace(b"\n", b"\r\n").partition(b"\r\n\r\n")
    )
    raw = head + b"\r\n" + headers.encode() + b"\r\n" + body + b"z" * 5_000 + b"\r\n"
    assert post(edge, raw, mailbox) == 200
    folder = eventually(lambda: next((f for f in ("INBOX", "Junk") if mailbox.find(subject, f)), None))
    assert mailbox.read(subject, folder).endswith(headers.encode() + b"\r\n" + body + b"z" * 5_000 + b"\r\n")


def test_a_header_that_would_be_cut_is_refused(edge: Edge, mailboxes: Mailboxes) -> None:
    mailbox = mailboxes.new("cut")
    raw = b"X-Long: " + b"\r\n ".join([b"y" * 70] * 1_000) + b"\r\n"
    raw += message("cut", to=mailbox.address).as_bytes().replace(b"\n", b"\r\n")
    assert post(edge, raw, mailbox) == 422


@pytest.fixture
def deliver(stack):
    """Hand a mail to Dovecot as Postfix does, with Postfix's own line on top."""
    host = stack.inspect("dovecot")["NetworkSettings"]["Networks"][f"{stack.project}_mail"]["IPAddress"]
    tls = ssl.create_default_context(cafile=stack.info["ca_file"])
    tls.check_hostname = False

    def lmtp(mailbox: Mailbox, queue_id: str, accepted: datetime, message_id: str = "same") -> None:
        received = (
            f"Received: from api (api [10.0.0.2])\r\n\tby mail (Postfix) with ESMTPS id {queue_id}\r\n"
            f"\tfor <{mailbox.address}>; {format_datetime(accepted)} (UTC)\r\n"
        )
        raw = f"{received}From: w@x.example\r\nSubject: again\r\nMessage-ID: <{message_id}@x>\r\n\r\nx\r\n"
        with smtplib.LMTP(host, 31024, timeout=60) as session:
            session.starttls(context=tls)
            session.sendmail("w@x.example", [mailbox.address], raw)

    return lmtp


def test_a_delivery_that_is_repeated_at_once_is_dropped(stack, deliver, mailboxes: Mailboxes) -> None:
    mailbox, now = mailboxes.new("again"), datetime.now(UTC)
    deliver(mailbox, "4jAAAAAAAAzAAA", now)
    deliver(mailbox, "4jAAAAAAAAzAAA", now)
    assert everything(stack, mailbox) == 1


def test_a_delivery_whose_mark_was_lost_in_a_crash_is_found_in_the_mailbox(
    stack, deliver, mailboxes: Mailboxes
) -> None:
    mailbox, before = mailboxes.new("mark"), datetime.now(UTC) - timedelta(minutes=7)
    deliver(mailbox, "4jBBBBBBBBzBBB", before)
    user, _, domain = mailbox.address.partition("@")
    stack.exec("dovecot", "sh", "-c", f": > /srv/vmail/{domain}/{user}/{DUPLICATES}")
    deliver(mailbox, "4jBBBBBBBBzBBB", before)
    assert everything(stack, mailbox) == 1


def test_two_mails_with_one_message_id_both_arrive(stack, deliver, mailboxes: Mailboxes) -> None:
    mailbox, now = mailboxes.new("twins"), datetime.now(UTC)
    deliver(mailbox, "4jCCCCCCCCzCCC", now)
    deliver(mailbox, "4jDDDDDDDDzDDD", now)
    assert everything(stack, mailbox) == 2


def test_mail_for_a_mailbox_that_was_deleted_since_waits_and_nothing_goes_back(
    stack, mailboxes: Mailboxes
) -> None:
    gone = f"gone-{uuid4().hex[:8]}@{mailboxes.domain}"
    words = ("sendmail", "-N", "never", "-f", "stranger@sender.example", gone)
    stack.exec("postfix", *words, stdin="Subject: accepted before\n\nx\n")

    def queued() -> list[dict]:
        mails = map(json.loads, stack.exec("postfix", "postqueue", "-j").splitlines())
        return [mail for mail in mails if gone in str(mail["recipients"])]

    [mail] = eventually(lambda: [m for m in queued() if "delay_reason" in str(m)], 60)
    stack.exec("postfix", "postsuper", "-d", mail["queue_id"])
    assert "status=bounced" not in "".join(
        line for line in stack.logs("postfix").splitlines() if gone in line
    )


def test_headers_that_tell_on_our_users_do_not_leave(stack, mailboxes: Mailboxes) -> None:
    subject, mailbox = f"outbound {uuid4()}", mailboxes.new("quiet")
    mail = message(subject, sender=mailbox.address, to="you@outside.example", received=False)
    told = {"User-Agent": "Secret 1.0", "X-Mailer": "Secret", "X-Originating-IP": "[10.1.2.3]"}
    told["Received"] = "from [10.1.2.3] (home) by laptop with SMTP id 1; Tue, 24 Nov 2026 12:00:00 +0000"
    for name, value in told.items():
        mail[name] = value
    mailbox.send(mail, "you@outside.example")
    sent = Sink(stack.info).raw(subject)
    for text in (b"Secret", b"10.1.2.3", b"laptop"):
        assert text not in sent
    assert b"DKIM-Signature" in sent


OTHERS = {
    "another user": ("From", "{other}"),
    "one of two": ("From", "{own}, {other}"),
    "in the name": ("From", '"{other}" <{own}>'),
    "in a comment": ("From", "{own} ({other})"),
    "encoded": ("From", "=?utf-8?q?{encoded}?= <{own}>"),
    "Sender": ("Sender", "{other}"),
    "Resent-From": ("Resent-From", "{other}"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_a_mail_that_names_somebody_else_as_its_author_is_refused_with_the_reason(
    stack, mailboxes: Mailboxes, case: str
) -> None:
    me, other = mailboxes.new("me"), f"boss@{mailboxes.domain}"
    name, form = OTHERS[case]
    value = form.format(own=me.address, other=other, encoded=other.replace("@", "=40"))
    lines = {"From": me.address, "To": me.address, "Subject": case} | {name: value}
    raw = "".join(f"{key}: {text}\r\n" for key, text in lines.items()) + "\r\nbody\r\n"
    host, port = stack.info["submission"].split(":")
    with smtplib.SMTP(host, int(port), timeout=60) as smtp:
        smtp.starttls(context=me.tls)
        smtp.login(me.address, me.password)
        with pytest.raises(smtplib.SMTPDataError, match=f"{name} names {other}"):
            smtp.sendmail(me.address, [me.address], raw)


def test_a_scanner_that_died_is_started_again(scanned: Stack) -> None:
    before = scanned.inspect("clamav")["State"]["StartedAt"]
    scanned.exec("clamav", "sh", "-c", "kill -9 $(pidof clamd)")
    eventually(lambda: scanned.inspect("clamav")["State"]["StartedAt"] != before, 60)
    scanned.healthy("clamav")
