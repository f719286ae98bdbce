"""Mail that comes in: from the edge's HTTP call to the reader's IMAP."""

from __future__ import annotations

import email
import email.policy

import httpx
import pytest

from tests.stack.attachments import with_a_bomb, with_a_password, with_macros
from tests.stack.clients import Accounts, Edge, Mailbox, message
from tests.stack.stack import eventually

# Put together here, so that no scanner takes this file itself for a virus.
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*" + "GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@pytest.fixture
def edge(stack) -> Edge:
    return Edge(stack.info)


def delivered(raw: bytes):
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_a_mail_reaches_the_mailbox_just_made_in_usermgmt(edge, mailboxes):
    reader = mailboxes.new()
    answer = edge.post(message("first light", to=reader.address), reader.address)
    assert answer.status_code == 200, answer.text
    mail = delivered(reader.read("first light"))
    assert mail["Delivered-To"] == reader.address
    assert "old harbour" in mail.get_content()


def test_the_body_arrives_byte_for_byte(edge, mailboxes):
    reader = mailboxes.new()
    body = "Grüße aus Zürich\r\n.\r\n..ein Punkt\r\n".encode("latin-1") + bytes(range(0x80, 0x100)) + b"\r\n"
    head = message("raw bytes", to=reader.address).as_bytes().partition(b"\n\n")[0].replace(b"\n", b"\r\n")
    head = b"\r\n".join(line for line in head.split(b"\r\n") if b"Content-Transfer-Encoding" not in line)
    head += b"\r\nContent-Transfer-Encoding: 8bit"
    assert edge.post(head + b"\r\n\r\n" + body, reader.address).status_code == 200
    assert reader.read("raw bytes").partition(b"\r\n\r\n")[2] == body


def test_a_second_domain_made_in_usermgmt_acts_at_once(edge, accounts, stack):
    accounts.add_domain("second.example")
    reader = Mailbox("someone@second.example", stack.info)
    accounts.add_mailbox(reader.address)
    assert edge.post(message("second domain", to=reader.address), reader.address).status_code == 200
    assert reader.read("second domain")


def test_an_alias_made_in_usermgmt_delivers_to_each_destination(edge, accounts, mailboxes):
    one, two = mailboxes.new("one"), mailboxes.new("two")
    alias = mailboxes.address("team")
    accounts.add_alias(alias, one.address, two.address)
    assert edge.post(message("to the team", to=alias), alias).status_code == 200
    assert one.read("to the team") and two.read("to the team")


def test_a_catch_all_takes_the_rest_but_not_the_mail_of_a_mailbox(edge, accounts, stack):
    accounts.add_domain("catch.example")
    boss, other = Mailbox("boss@catch.example", stack.info), Mailbox("other@catch.example", stack.info)
    for mailbox in (boss, other):
        accounts.add_mailbox(mailbox.address)
    accounts.add_alias("@catch.example", boss.address)
    assert edge.post(message("for nobody known"), "unheard-of@catch.example").status_code == 200
    assert edge.post(message("for the other"), other.address).status_code == 200
    assert boss.read("for nobody known") and other.read("for the other")
    assert not boss.find("for the other")


def test_an_address_with_an_extension_reaches_its_mailbox(edge, mailboxes):
    reader = mailboxes.new()
    address = reader.address.replace("@", "+shop@")
    assert edge.post(message("with extension", to=address), address).status_code == 200
    assert reader.read("with extension")


@pytest.mark.parametrize("to", ["nobody-of-that-name@{domain}", "somebody@elsewhere.example"])
def test_an_unknown_recipient_is_not_found(edge, mailboxes, to):
    answer = edge.post(message("to nobody"), to.format(domain=mailboxes.domain))
    assert answer.status_code == 404, answer.text


def test_a_virus_is_refused_while_the_sender_waits(scanned, edge, mailboxes):
    reader = mailboxes.new()
    answer = edge.post(message("a virus", to=reader.address, text=EICAR + "\n"), reader.address)
    assert answer.status_code == 422, answer.text
    assert answer.headers["X-Mail-Reason"].startswith('virus found: "')


@pytest.mark.parametrize(
    ("make", "reason"),
    [(with_macros, "has macros"), (with_a_bomb, "unpacks to more than can be scanned")],
)
def test_what_is_no_virus_and_still_does_not_come_in_is_refused(scanned, edge, mailboxes, make, reason):
    reader = mailboxes.new()
    answer = edge.post(make("an attachment", reader.address), reader.address)
    assert answer.status_code == 422, answer.text
    assert reason in answer.headers["X-Mail-Reason"]


def test_an_archive_with_a_password_goes_to_junk(edge, mailboxes):
    reader = mailboxes.new()
    assert edge.post(with_a_password("a locked one", reader.address), reader.address).status_code == 200
    assert delivered(reader.read("a locked one", "Junk"))["X-Spam"] == "Yes"


def test_a_forwarders_seal_is_kept(edge, mailboxes):
    reader = mailboxes.new()
    mail = message("sealed elsewhere", to=reader.address)
    seal = {
        name: f"i=1; d=fwd.example; s=arc; about={name}"
        for name in ("ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results")
    }
    for name, value in seal.items():
        mail[name] = value
    assert edge.post(mail, reader.address).status_code == 200
    kept = delivered(reader.read("sealed elsewhere"))
    assert {name: kept[name].strip() for name in seal} == seal


def test_plain_spam_is_refused(edge, mailboxes):
    reader = mailboxes.new()
    answer = edge.post(message("plain spam", to=reader.address, text=GTUBE + "\n"), reader.address)
    assert answer.status_code == 422, answer.text
    assert answer.headers["X-Mail-Reason"] == "Gtube pattern"


def test_suspicious_mail_goes_to_junk(edge, mailboxes):
    reader = mailboxes.new()
    mail = message("cheap watches", to=reader.address)
    for header in ("Date", "Message-ID", "To", "MIME-Version"):
        del mail[header]
    assert edge.post(mail, reader.address).status_code == 200
    assert delivered(reader.read("cheap watches", "Junk"))["X-Spam"] == "Yes"


def test_a_person_takes_in_what_is_junk_for_others(edge, mailboxes, stack):
    """Of mails with more and more missing, at least one has more than 6 and less than 12 points."""
    reader, other = mailboxes.new(), mailboxes.new()
    Accounts.of_reader(stack.info, reader.address).submit("senders", "senders/junk-limit", junk_from="12")
    missing = ("Message-ID", "Date", "MIME-Version", "To")

    def taken_in() -> bool:
        for count in range(1, len(missing) + 1):
            for who in (reader, other):
                mail = message(f"watches {count}", to=who.address)
                for header in missing[:count]:
                    del mail[header]
                assert edge.post(mail, who.address).status_code in (200, 422)
        found = range(1, len(missing) + 1)
        return any(reader.find(f"watches {n}") and other.find(f"watches {n}", "Junk") for n in found)

    eventually(taken_in, every=3)


def test_a_forged_spam_mark_is_removed(edge, mailboxes):
    reader = mailboxes.new()
    mail = message("not spam at all", to=reader.address)
    mail["X-Spam"] = "Yes"
    assert edge.post(mail, reader.address).status_code == 200
    assert delivered(reader.read("not spam at all"))["X-Spam"] is None


def test_a_person_is_told_before_the_mailbox_is_full(edge, mailboxes):
    reader = mailboxes.new("filling", quota="10M")
    for subject, kilobytes, percent in (("first", 6_000, None), ("second", 2_600, 80), ("third", 1_300, 95)):
        mail = message(subject, to=reader.address, text=("x" * 75 + "\n") * (kilobytes * 1000 // 76))
        assert edge.post(mail, reader.address).status_code == 200
        reader.read(subject)
        if percent:
            said = reader.read(f"{percent} % full").decode()
            assert reader.address in said and "使用率" in said and "/account" in said
    assert len(reader.find("% full")) == 2


def test_a_full_mailbox_is_told_to_the_sender(edge, mailboxes):
    # Ten MiB, and ten more that dovecot grants the last mail.
    reader = mailboxes.new("full", quota="10M")
    answers = []
    for number in range(8):
        mail = message(f"large {number}", to=reader.address, text=("0123456789abcdef" * 4 + "\n") * 70_000)
        answers.append(edge.post(mail, reader.address).status_code)
        if answers[-1] != 200:
            break
        assert reader.read(f"large {number}")
    assert answers[0] == 200 and answers[-1] == 507, answers


def test_a_mail_of_25_mib_fits_and_a_byte_more_does_not(edge, mailboxes):
    reader = mailboxes.new()
    head = (
        message("large as can be", to=reader.address).as_bytes().partition(b"\n\n")[0].replace(b"\n", b"\r\n")
    )
    line = b"x" * 76 + b"\r\n"
    raw = head + b"\r\n\r\n" + line * (26_214_400 // len(line))
    raw += b"y" * (26_214_400 - len(raw) - 2) + b"\r\n" if len(raw) < 26_214_398 else b""
    raw = raw[:26_214_398] + b"\r\n"
    assert edge.post(raw + b"x", reader.address).status_code == 413
    assert edge.post(raw, reader.address).status_code == 200
    assert len(reader.read("large as can be")) > 26_000_000


def test_a_repeated_call_is_not_delivered_twice(edge, mailboxes):
    reader = mailboxes.new()
    mail = message("only once", to=reader.address)
    first, second = edge.post(mail, reader.address), edge.post(mail, reader.address)
    assert (first.status_code, second.status_code) == (200, 200)
    assert edge.post(message("the next one", to=reader.address), reader.address).status_code == 200
    assert reader.read("the next one")
    assert len(reader.find("only once")) == 1


@pytest.mark.parametrize("token", ["wrong", "x" * 43])
def test_with_a_wrong_token_nothing_is_accepted(edge, mailboxes, token):
    assert edge.post(message("no token"), mailboxes.info["mailbox"], token=token).status_code == 401


def test_without_a_token_nothing_is_accepted(stack):
    headers = {"X-Envelope-From": "a@b.example", "X-Envelope-To": stack.info["mailbox"]}
    answer = httpx.post(
        f"{stack.info['api']}/v1/messages", content=b"Subject: x\r\n\r\n", headers=headers, timeout=30
    )
    assert answer.status_code == 401


def test_the_senders_address_is_judged_not_the_tunnels(edge, mailboxes, stack):
    reader = mailboxes.new()
    mail = message("who was it", to=reader.address)
    assert edge.post(mail, reader.address).status_code == 200
    line = eventually(
        lambda: next(
            (ln for ln in stack.logs("rspamd").splitlines() if f"id: {mail['Message-ID']}" in ln), None
        )
    )
    assert "ip: 203.0.113.7" in line


def test_the_hop_from_the_api_to_postfix_is_encrypted(edge, mailboxes):
    reader = mailboxes.new()
    assert edge.post(message("encrypted hop", to=reader.address), reader.address).status_code == 200
    received = delivered(reader.read("encrypted hop")).get_all("Received")
    assert "with ESMTPS" in received[1], received


def test_ready_says_whether_mail_can_be_delivered(edge, stack):
    ready = httpx.get(f"{stack.info['api']}/ready", timeout=10)
    assert ready.status_code == 200
