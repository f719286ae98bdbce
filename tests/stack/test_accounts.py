"""What accounts do to real mail: Postfix's answers, open sessions, app passwords, whose mail is shown."""

from __future__ import annotations

import hashlib
import imaplib
import json
import smtplib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.stack.clients import PASSWORD, Accounts, Edge, Mailbox, Mailboxes, message
from tests.stack.stack import Stack, eventually

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

RCPT = (
    "import smtplib, sys; s = smtplib.SMTP('postfix', 25, timeout=30); s.ehlo('api'); s.mail('a@b.example')\n"
    "for to in sys.argv[1:]: print(s.rcpt(to)[0])"
)
APP_PASSWORD = "kqzmw-4xyhr-tn7pd-cjv2g"  # noqa: S105 (of a mailbox that the test makes)


def verdicts(stack: Stack, *addresses: str) -> list[int]:
    """What Postfix says to each recipient where inbound mail arrives."""
    return [int(code) for code in stack.exec("mailserver-api", "python", "-c", RCPT, *addresses).split()]


def recipients(stack: Stack, address: str) -> set[str]:
    said = stack.exec("postfix", "postmap", "-q", address, "mysql:/run/postfix/sql/aliases.cf")
    return set(said.strip().split(","))


def test_what_is_disabled_is_refused_and_its_mail_never_goes_elsewhere(
    stack: Stack, accounts: Accounts
) -> None:
    domain = f"e1-{uuid4().hex[:8]}.example"
    on, off, only_off, both, nobody = (
        f"{name}@{domain}" for name in ("on", "off", "only-off", "both", "nobody")
    )
    accounts.add_domain(domain)
    accounts.add_mailbox(on)
    accounts.add_mailbox(off)
    accounts.add_alias(only_off, off)
    accounts.add_alias(both, on, off)
    accounts.add_alias(f"@{domain}", only_off)
    asked = (on, off, f"{off.replace('@', '+tag@')}", only_off, both, nobody)
    assert verdicts(stack, *asked) == [250] * 6
    assert recipients(stack, nobody) == {off} and recipients(stack, both) == {on, off}
    accounts.switch(off, "no")
    assert verdicts(stack, *asked) == [250, 550, 550, 550, 250, 550]
    assert recipients(stack, both) == {on} and recipients(stack, off) == {off}
    accounts.switch(off, "yes")
    assert verdicts(stack, *asked) == [250] * 6
    stack.sql("UPDATE domains SET active = 0 WHERE name = @domain", domain=domain)
    assert verdicts(stack, *asked) == [550] * 6


def test_a_disabled_address_is_refused_to_our_own_users_too(accounts: Accounts, mailboxes: Mailboxes) -> None:
    writer, off = mailboxes.new(), mailboxes.new()
    accounts.switch(off.address, "no")
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="does not receive mail"):
        writer.send(message("to nobody", sender=writer.address), off.address)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda accounts, who: accounts.change_password(who, "another long one"), id="password"),
        pytest.param(lambda accounts, who: accounts.switch(who, "no"), id="disabled"),
    ],
)
def test_a_session_that_is_open_ends_within_two_seconds(
    accounts: Accounts, mailboxes: Mailboxes, change: Callable[[Accounts, str], None]
) -> None:
    reader, other = mailboxes.new(), mailboxes.new()
    for box in (reader, other):
        box.imap.select()
        box.imap.send(b"x IDLE\r\n")
        assert box.imap.readline().startswith(b"+")
        box.imap.sock.settimeout(2)
    change(accounts, reader.address)
    assert next_word(reader).startswith(b"* BYE")
    with pytest.raises(TimeoutError):
        next_word(other)


def next_word(box: Mailbox) -> bytes:
    """The next line of an idle session, but for the one by which Dovecot keeps it alive."""
    lines = iter(box.imap.readline, b"")
    return next((line for line in lines if line != b"* OK Still here\r\n"), b"")


INSERT = """INSERT INTO app_passwords (mailbox_id, name, password_hash)
SELECT id, 'phone', @digest FROM mailboxes WHERE email = @who"""
LAST_USED = "SELECT last_used_at FROM app_passwords WHERE password_hash = @digest"


def test_a_mail_program_uses_an_app_password_and_with_two_factor_no_other(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    person, stranger = mailboxes.new(), mailboxes.new()
    who = {"who": person.address, "digest": hashlib.sha256(APP_PASSWORD.encode()).hexdigest()}
    stack.sql(INSERT, **who)
    assert stack.sql(LAST_USED, **who) == "NULL"
    program = Mailbox(person.address, stack.info, APP_PASSWORD)
    assert program.imap.noop()[0] == "OK" and person.imap.noop()[0] == "OK"
    assert stack.sql(LAST_USED, **who) != "NULL"
    stack.sql("UPDATE mailboxes SET two_factor = 1 WHERE email = @who", **who)
    program.send(message("from a program", sender=person.address, received=False), stranger.address)
    assert stranger.read("from a program")
    for address, password in ((person.address, PASSWORD), (stranger.address, APP_PASSWORD)):
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            Mailbox(address, stack.info, password).imap.noop()


LAST_LOGIN = "SELECT last_login_at FROM mailboxes WHERE email = @who"
FORGET = "UPDATE mailboxes SET last_login_at = NULL WHERE email = @who"


def test_a_log_in_is_noted_within_two_seconds_and_a_wrong_password_is_not(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    person = mailboxes.new()
    who = {"who": person.address}
    stack.sql(FORGET, **who)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        Mailbox(person.address, stack.info, "not the password").imap.noop()
    assert stack.sql(LAST_LOGIN, **who) == "NULL"
    assert Mailbox(person.address, stack.info).imap.noop()[0] == "OK"
    eventually(lambda: stack.sql(LAST_LOGIN, **who) != "NULL", 2)
    stack.sql(FORGET, **who)
    person.send(message("by SMTP", sender=person.address, received=False), person.address)
    eventually(lambda: stack.sql(LAST_LOGIN, **who) != "NULL", 2)


def test_who_cannot_be_noted_gets_in_all_the_same(stack: Stack, mailboxes: Mailboxes) -> None:
    person = mailboxes.new()
    digest = hashlib.sha256(APP_PASSWORD.encode()).hexdigest()
    stack.sql("DELETE FROM app_passwords WHERE password_hash = @digest", digest=digest)
    stack.sql(INSERT, who=person.address, digest=digest)
    stack.sql("SET GLOBAL read_only = 1")
    try:
        for password in (PASSWORD, APP_PASSWORD):
            assert Mailbox(person.address, stack.info, password).imap.noop()[0] == "OK"
    finally:
        stack.sql("SET GLOBAL read_only = 0")


def test_an_address_that_is_used_again_shows_nothing_of_the_old_mail(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    reader, edge = mailboxes.new(), Edge(stack.info)
    assert edge.post(message("for the first", to=reader.address), reader.address).is_success
    assert reader.read("for the first")
    name, _, domain = reader.address.partition("@")
    home = f"{domain}/{name}+2"
    stack.sql("UPDATE mailboxes SET home = @home WHERE email = @who", home=home, who=reader.address)
    second = Mailbox(reader.address, stack.info)
    assert not second.find("for the first")
    assert edge.post(message("for the second", to=reader.address), reader.address).is_success
    assert second.read("for the second")
    stack.exec("dovecot", "sh", "-c", f"cd /srv/vmail/{home}/mail && test -d cur")


DELETED = """UPDATE mailboxes SET active = 0, deleted_at = UTC_TIMESTAMP(6) - INTERVAL {days} DAY
WHERE email = @who"""


def test_the_nightly_purge_removes_the_mail_of_those_deleted_over_30_days_ago_and_of_nobody_else(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    gone, in_time, _ = people = [mailboxes.new() for _ in range(3)]
    edge = Edge(stack.info)
    for person in people:
        assert edge.post(message("kept or not", to=person.address), person.address).is_success
        assert person.read("kept or not")
    stack.sql(DELETED.format(days=31), who=gone.address)
    stack.sql(DELETED.format(days=29), who=in_time.address)
    homes = ["/".join(reversed(person.address.split("@"))) for person in people]
    assert homes[0] in json.loads(stack.mailctl("purge", "--local", "--json"))["homes"]
    look = f"cd /srv/vmail && for home in {' '.join(homes)}; do if test -d $home; then echo $home; fi; done"
    left = stack.exec("dovecot", "sh", "-c", look)
    assert left.split() == homes[1:]


ASK = """
import os
from usermgmt.settings import dovecot

server, (user, other) = dovecot(os.environ), {users!r}
used = server.used_bytes([user, "nobody@invalid", other])
print(sorted(used) == sorted([user, other]), used[user] > 1000, used[other] == 0)
print(server._call([("fetch", {{"user": user, "field": ["text"], "query": ["ALL"]}}), ("who", {{}})]))
"""


def test_usermgmt_is_told_how_full_mailboxes_are_and_nothing_of_what_is_in_them(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    reader, empty = mailboxes.new(), mailboxes.new()
    assert Edge(stack.info).post(message("seen", to=reader.address), reader.address).is_success
    assert reader.read("seen")
    said = stack.exec("usermgmt", "python", "-c", ASK.format(users=(reader.address, empty.address)))
    assert said == "True True True\n[[], []]\n"


FORWARD = """if header :is "Subject" "own" {{ redirect "{own}"; }}
else {{ redirect "far@outside.example"; }}
"""


def test_a_users_filter_forwards_to_our_own_addresses_and_what_is_for_others_stays(
    stack: Stack, mailboxes: Mailboxes
) -> None:
    first, second, edge = mailboxes.new(), mailboxes.new(), Edge(stack.info)
    script = FORWARD.format(own=second.address)
    stack.exec("dovecot", "doveadm", "sieve", "put", "-u", first.address, "-a", "mine", stdin=script)
    for subject in ("own", "far"):
        assert edge.post(message(subject, to=first.address), first.address).is_success
    assert second.read("own") and first.read("far")
    assert not first.find("own")


def test_accounts_made_by_program_and_by_command_work_at_once(stack: Stack) -> None:
    """The API through the web entrance with a token, mailctl, and an import with a generated password."""
    name = f"api-{uuid4().hex[:8]}"
    domain = f"{name}.example"

    def mailctl(*words: str) -> dict[str, Any]:
        return json.loads(stack.mailctl(*words, "--local", "--json"))

    assert mailctl("domain", "add", domain)["domain"]["active"]
    assert mailctl("domain", "add", domain, "--if-missing")["domain"]["name"] == domain
    made = ("token", "create", name, "--admin", stack.info["admin"], "--domain", domain)
    token = mailctl(*made, "--scope", "mailbox:write")["secret"]
    program = httpx.Client(
        base_url=f"{stack.info['admin_page'].rstrip('/')}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
    )
    by_api = program.post("/mailboxes", json={"email": f"anna@{domain}"})
    assert by_api.status_code == 201, by_api.text
    assert program.get("/aliases").status_code == 403
    file = stack.repository / f"{name}.csv"
    file.write_text(f"address,destinations\nbert@{domain},\ninfo@{domain},bert@{domain}\n")
    imported = mailctl("user", "import", str(file), "--yes")
    secrets = {
        f"anna@{domain}": by_api.json()["password"],
        f"bert@{domain}": imported["passwords"][0]["password"],
    }
    for address, password in secrets.items():
        assert Mailbox(address, stack.info, password).imap.noop()[0] == "OK"
    assert verdicts(stack, f"info@{domain}") == [250] and recipients(stack, f"info@{domain}") == {
        f"bert@{domain}"
    }
    assert {row["email"] for row in mailctl("user", "list", "--domain", domain)["users"]} == {*secrets}
    changed = mailctl("user", "password", f"anna@{domain}")["password"]
    assert Mailbox(f"anna@{domain}", stack.info, changed).imap.noop()[0] == "OK"
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        Mailbox(f"anna@{domain}", stack.info, secrets[f"anna@{domain}"]).imap.noop()
    mailctl("user", "disable", f"bert@{domain}")
    assert verdicts(stack, f"info@{domain}") == [550]
