"""Automatic replies and forwards, chosen on the account page: what mail does then on the running stack."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from uuid import uuid4

import dkim
import pytest

from tests.stack.clients import PASSWORD, Accounts, Edge, Mailbox, Mailboxes, Sink, message
from tests.stack.managesieve import ManageSieve
from tests.stack.stack import Stack, eventually
from tests.stack.test_outbound import dkim_record

TEXT = 'I am "away" \\o/ — ${name}\n.\n..\n";discard;\nGruß, 寿司 ✓'


@pytest.fixture
def edge(stack: Stack) -> Edge:
    """The call of the Email Worker."""
    return Edge(stack.info)


def page_of(stack: Stack, mailbox: Mailbox) -> Accounts:
    """The account pages of a mailbox's owner."""
    return Accounts.of_reader(stack.info, mailbox.address)


def reply(stack: Stack, mailbox: Mailbox, subject: str, **fields: str) -> None:
    """Turn the automatic reply on."""
    form = {"on": "yes", "subject": subject, "text": TEXT, "days": "7", **fields}
    page_of(stack, mailbox).submit("account/mail", "account/mail/reply", **form)


def forward(stack: Stack, mailbox: Mailbox, to: str, **fields: str) -> None:
    """Have mail forwarded."""
    page_of(stack, mailbox).submit("account/mail", "account/mail/forwarding", forward_to=to, **fields)


def send(edge: Edge, to: str, subject: str, sender: str = "friend@far.example", **headers: str) -> None:
    """A mail from outside."""
    mail = message(subject, sender=sender, to=to)
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    assert edge.post(mail, to, sender=sender).status_code == 200


def parsed(raw: bytes) -> EmailMessage:
    """A mail to look into."""
    return message_from_bytes(raw, policy=policy.default)


def addresses(header: AddressHeader) -> list[str]:
    """The addresses of a header."""
    return [each.addr_spec for each in header.addresses]


def test_a_stranger_gets_one_reply_that_says_what_was_written_and_programs_get_none(
    stack: Stack, edge: Edge, mailboxes: Mailboxes
) -> None:
    reader, sink, subject = mailboxes.new("away"), Sink(stack.info), f'Back \\ "soon" {uuid4()}'
    reply(stack, reader, subject)
    programs: dict[str, tuple[str, dict[str, str]]] = {
        "list": ("list@far.example", {"List_Id": "<l.far.example>"}),
        "bulk": ("bulk@far.example", {"Precedence": "bulk"}),
        "robot": ("robot@far.example", {"Auto_Submitted": "auto-generated"}),
        "bounce": ("", {}),
    }
    friend = {f"hello {number}": ("friend@far.example", {}) for number in (1, 2, 3)}
    # All at once: of deliveries to one mailbox side by side, Dovecot would forget whom it has answered.
    with ThreadPoolExecutor() as pool:
        mails = (programs | friend).items()
        sent = [pool.submit(send, edge, reader.address, title, who, **more) for title, (who, more) in mails]
    for each in sent:
        each.result()
    for title in programs | friend:
        reader.read(title)
    raw = sink.raw(subject)
    mail = parsed(raw)
    assert mail.get_content().replace("\r\n", "\n").rstrip("\n") == TEXT
    assert addresses(mail["From"]) == [reader.address] and addresses(mail["To"]) == ["friend@far.example"]
    assert mail["Auto-Submitted"].startswith("auto-replied")
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: dkim_record(stack, mailboxes.domain))
    assert sink.subjects().count(subject) == 1
    queue_id = re.search(rb"id (4\w{10,})", raw)[1].decode()
    eventually(lambda: f"{queue_id}: from=<>," in stack.logs("postfix"))


def test_mail_to_an_alias_is_answered_and_the_own_filter_still_runs(
    stack: Stack, edge: Edge, accounts: Accounts, mailboxes: Mailboxes
) -> None:
    reader, alias, subject = mailboxes.new("away"), mailboxes.address("office"), f"away {uuid4()}"
    script = 'require ["fileinto", "mailbox"];\r\nfileinto :create "Filed";\r\n'
    ManageSieve(stack, reader).activate(script)
    reply(stack, reader, subject)
    accounts.add_alias(alias, reader.address)
    send(edge, alias, "to the office")
    assert reader.read("to the office", "Filed")
    assert addresses(parsed(Sink(stack.info).raw(subject))["From"]) == [reader.address]
    assert script in ManageSieve(stack, reader).ask('GETSCRIPT "own"')


def test_before_its_first_day_no_reply_is_sent(stack: Stack, edge: Edge, mailboxes: Mailboxes) -> None:
    reader, subject = mailboxes.new("later"), f"later {uuid4()}"
    reply(stack, reader, subject, **{"from": "2999-01-01"})
    send(edge, reader.address, "early")
    assert reader.read("early")
    assert not Sink(stack.info).has(subject)


def test_forwarded_mail_arrives_with_and_without_a_copy_and_nothing_goes_round(
    stack: Stack, edge: Edge, mailboxes: Mailboxes
) -> None:
    first, second, third = (mailboxes.new("chain") for _ in range(3))
    forward(stack, first, second.address, keep_copy="yes")
    forward(stack, second, third.address)
    with pytest.raises(AssertionError, match="go round forever"):
        forward(stack, third, first.address)
    send(edge, first.address, "along the chain")
    assert third.read("along the chain") and first.read("along the chain")
    assert not second.find("along the chain")


def test_an_own_filter_sends_nothing_to_the_world_but_replies_in_the_own_name(
    stack: Stack, edge: Edge, mailboxes: Mailboxes
) -> None:
    reader, boss, sink = mailboxes.new("filter"), mailboxes.new("boss"), Sink(stack.info)
    subject = f"forged {uuid4()}"
    script = (
        'require ["vacation"];\r\nredirect "friend@far.example";\r\n'
        f'vacation :subject "{subject}" :from "{boss.address}" "The boss says hello";\r\n'
    )
    ManageSieve(stack, reader).activate(script)
    for sender in ("writer@far.example", ""):
        send(edge, reader.address, f"stays {sender or 'here'}", sender)
        assert reader.read(f"stays {sender or 'here'}")
    marker = mailboxes.new("marker")
    marker.send(message("marker", sender=marker.address, received=False), "friend@far.example")
    assert sink.raw("marker")
    assert not {subject, "stays here", "stays writer@far.example"} & set(sink.subjects())


def test_only_dovecot_may_use_the_listener_for_replies(stack: Stack) -> None:
    talk = (
        "import smtplib, ssl; s = smtplib.SMTP('postfix', 26); c = ssl._create_unverified_context();"
        "s.starttls(context=c); s.ehlo(); s.mail(''); print(*s.rcpt('friend@far.example'))"
    )
    assert "554" in stack.exec("mailserver-api", "python", "-c", talk)


def test_while_the_choices_cannot_be_read_mail_waits_and_then_arrives(
    stack: Stack, edge: Edge, mailboxes: Mailboxes
) -> None:
    first, second = mailboxes.new("wait"), mailboxes.new("wait")
    forward(stack, first, second.address)
    what = "SELECT (mailbox_id, script_id, script) ON mail_rules"
    stack.sql(f"REVOKE {what} FROM dovecot")
    try:
        send(edge, first.address, "patience")
        eventually(lambda: "Temporarily unable to access necessary Sieve scripts" in stack.logs("postfix"))
    finally:
        stack.sql(f"GRANT {what} TO dovecot")
    stack.exec("postfix", "postqueue", "-f")
    assert second.read("patience", limit=90)
    assert not first.find("patience")


def test_an_app_password_opens_the_filters_and_mail_and_no_page_of_the_account(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    reader = mailboxes.new("program")
    shown = page_of(stack, reader).submit("account", "account/app-passwords", name="x", old_password=PASSWORD)
    found = re.search(r"<code>([\w-]{23})</code>", shown.text)
    assert found
    program = Mailbox(reader.address, stack.info, found[1])
    ManageSieve(stack, program).activate("keep;\r\n")
    assert program.imap.noop()[0] == "OK"
    with pytest.raises(AssertionError, match=r"the log-in failed|login: 401"):
        Accounts.of_reader(stack.info, reader.address, found[1])
