"""People and mail on two stores behind a proxy: who is led where, and mailboxes that move under load."""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import smtplib
import socket
from base64 import b64encode
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import URL, select

from mailctl.monitor.handover import MEASURE
from tests.standins.hardened import docker, wait_until
from tests.swarm.shards.conftest import Policy
from tests.swarm.shards.load import SEEDED, Load
from tests.swarm.shards.rig import API_KEY, PASSWORD, SECRET, Rig
from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm
from usermgmt.mail.stores import Stores
from usermgmt.models import AppPassword, Mailbox, WebSession
from usermgmt.mover import Mover
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.oidc import Opened, access_token
from usermgmt.services.oidc_keys import signing_key
from usermgmt.services.placement import ask_for_moves, host_is_back, take_over

#: The first words of each mechanism: who, and the token.
MECHANISMS = {
    "XOAUTH2": "user={}\x01auth=Bearer {}\x01\x01",
    "OAUTHBEARER": "n,a={},\x01auth=Bearer {}\x01\x01",
}
PHONE = "words of one program"
MOVES = int(os.environ.get("SHARD_MOVES", "2"))
STEPS = ("copy 2", "flip", "kick", "merge", "note", "settle")


@pytest.fixture(scope="module", autouse=True)
def names(rig: Rig) -> Iterator[None]:
    """What this process asks for by name is in the containers' network."""
    known = {name: rig.address(name) for name in ("mariadb", "dovecot", "dovecot-a", "dovecot-b")}
    real = socket.getaddrinfo
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            socket, "getaddrinfo", lambda host, *rest, **more: real(known.get(host, host), *rest, **more)
        )
        yield


@pytest.fixture(scope="module")
def mover(rig: Rig) -> Iterator[Mover]:
    """The mover as its service runs it, which waits for no late delivery."""
    url = URL.create(
        "mariadb+pymysql", "usermgmt", "usermgmtxdb" * 4, rig.address("mariadb"), 3306, "mailserver"
    )
    database = Database(url)
    trusted = rig.tls()
    trusted.check_hostname = True
    yield Mover(database, Stores(API_KEY, trusted), settled=timedelta(0))
    database.engine.dispose()


def move(mover: Mover, address: str, to: str) -> None:
    with mover.database.transaction() as session:
        ask_for_moves(session, COMMAND_LINE, [address], to)


def subjects(rig: Rig, address: str, store: str) -> list[str]:
    """What a store itself holds of somebody."""
    said = rig.inside(
        store, "doveadm", "-f", "json", "fetch", "-u", address, "hdr.subject", "mailbox", "*"
    ).stdout
    return sorted(row["hdr.subject"] for row in json.loads(said))


def put_script(rig: Rig, address: str, name: str) -> None:
    """As a program for filters does."""

    def ask(words: str) -> None:
        nonlocal lines
        connection.sendall(words.encode() + b"\r\n")
        heard(words)

    def heard(words: str) -> None:
        for line in iter(lines.readline, b""):
            assert not line.startswith((b"NO", b"BYE")), (words, line)
            if line.startswith(b"OK"):
                return

    connection = socket.create_connection((rig.address("dovecot"), 34190), 30)
    lines = connection.makefile("rb")
    heard("greeting")
    ask("STARTTLS")
    connection = rig.tls().wrap_socket(connection)
    lines = connection.makefile("rb")
    heard("greeting with TLS")
    who = b64encode(f"\0{address}\0{PASSWORD}".encode()).decode()
    ask(f'AUTHENTICATE "PLAIN" "{who}"')
    ask(f'PUTSCRIPT "{name}" "keep;"')
    connection.close()


def test_how_full_mailboxes_are_is_said_by_the_store_of_each_and_by_no_other(rig: Rig) -> None:
    people = {shard: f"full-{shard}@example.com" for shard in "ab"}
    for shard, person in people.items():
        rig.add(person, shard=shard)
        rig.deliver(person, f"mail of {shard}")
    trusted = rig.tls()
    trusted.check_hostname = True
    # As pages ask: one address for all.
    used = Doveadm("dovecot", API_KEY, trusted).used_bytes(people.values())
    assert set(used) == set(people.values()) and all(used.values())
    for shard, person in people.items():
        # As the monitor of each host asks.
        said = rig.inside(f"dovecot-{shard}", "sh", "-c", MEASURE).stdout
        owned = rig.sql(f"SELECT email FROM mailboxes WHERE shard = '{shard}' AND active").split()  # noqa: S608
        assert {line.split("\t")[0] for line in said.splitlines()[1:]} == {*owned} and person in owned
        other = people["b" if shard == "a" else "a"]
        assert not list(rig.disk(shard).rglob(other.partition("@")[0]))


def die_at(mover: Mover, step: str) -> None:
    """A mover that ends before this step."""

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    dying = Mover(mover.database, mover.stores, mover.settled, die)
    with pytest.raises(KeyboardInterrupt):
        while dying.once():
            pass


def finish(rig: Rig, mover: Mover) -> None:
    """Let the mover do all that is due."""
    while mover.once():
        trouble = rig.sql("SELECT trouble FROM mailbox_moves WHERE trouble <> ''")
        assert not trouble, trouble


def test_mail_and_people_are_led_to_the_store_of_the_mailbox(rig: Rig) -> None:
    for shard in "ab":
        person = f"{shard}nna@example.com"
        rig.add(person, shard=shard)
        rig.deliver(person, "hello")
        assert rig.imap(person).uid("SEARCH", "SUBJECT", "hello")[1] == [b"1"]
        assert subjects(rig, person, f"dovecot-{shard}") == ["hello"]
        assert subjects(rig, person, "dovecot") == ["hello"], "doveadm in the proxy does not ask the store"
    assert subjects(rig, "anna@example.com", "dovecot-b") == []


def test_a_store_lets_nobody_in_but_the_proxies(rig: Rig) -> None:
    rig.add("cleo@example.com")
    with pytest.raises(imaplib.IMAP4.error):
        rig.imap("cleo@example.com", at="dovecot-a")
    rig.imap("cleo@example.com", at="dovecot-a", password=SECRET)
    with pytest.raises(imaplib.IMAP4.error):
        rig.imap("cleo@example.com", password=SECRET)
    rig.imap("cleo@example.com", password=PASSWORD)
    assert not [asked for asked in Policy.asked if rig.address("dovecot") in asked], "a store reports log-ins"


def test_postfix_is_told_whether_somebody_may_send(rig: Rig) -> None:
    rig.add("dora@example.com")
    assert (
        rig.inside(
            "dovecot", "doveadm", "auth", "test", "-x", "service=smtp", "dora@example.com", PASSWORD
        ).returncode
        == 0
    )
    assert (
        rig.inside(
            "dovecot", "doveadm", "auth", "test", "-x", "service=smtp", "dora@example.com", SECRET
        ).returncode
        != 0
    )


def test_an_app_password_and_the_webmails_token_lead_to_the_store_as_well(rig: Rig, mover: Mover) -> None:
    person = "dana@example.com"
    rig.add(person, shard="b")
    rig.deliver(person, "hello")
    with mover.database.transaction() as session:
        owner = session.scalars(select(Mailbox).where(Mailbox.email == person)).one()
        words = sha256(PHONE.encode()).hexdigest()
        session.add(AppPassword(mailbox_id=owner.id, name="phone", password_hash=words))
        opened = WebSession(mailbox_id=owner.id, token_hash="t" * 64)
        session.add(opened)
        session.flush()
        token = access_token(
            signing_key(session, "k" * 64), "https://account.example.com", Opened(opened.id, owner)
        )
    session_of_phone = rig.imap(person, password=PHONE)
    assert session_of_phone.uid("SEARCH", "ALL")[1] == [b"1"]
    for way, first in MECHANISMS.items():
        imap = imaplib.IMAP4_SSL(rig.address("dovecot"), 31993, ssl_context=rig.tls(), timeout=30)
        imap.authenticate(way, lambda _, f=first: f.format(person, token).encode())  # type: ignore[misc]
        assert imap.select("INBOX")[1] == [b"1"]
        with pytest.raises(imaplib.IMAP4.error):
            other = imaplib.IMAP4_SSL(rig.address("dovecot"), 31993, ssl_context=rig.tls(), timeout=30)
            other.authenticate(way, lambda _, f=first: f.format("anna@example.com", token).encode())  # type: ignore[misc]
    put_script(rig, person, "mine")
    assert "mine" in rig.inside("dovecot-b", "doveadm", "sieve", "list", "-u", person).stdout


def test_usermgmt_ends_sessions_and_asks_for_sizes_by_the_proxy(rig: Rig) -> None:
    rig.add("emma@example.com", shard="b")
    rig.deliver("emma@example.com", "hello")
    session = rig.imap("emma@example.com")
    doveadm = Doveadm("dovecot", API_KEY, rig.tls())
    assert doveadm.used_bytes(["emma@example.com"], 30)["emma@example.com"] > 0
    doveadm.kick(["emma@example.com"])

    def ended() -> bool:
        try:
            session.noop()
        except (imaplib.IMAP4.abort, OSError):
            return True
        return False

    # The store is told, and then ends it.
    wait_until(ended, "the end of the session")


@pytest.mark.parametrize("number", range(MOVES))
def test_a_mailbox_moves_under_load_and_nothing_is_lost(rig: Rig, mover: Mover, number: int) -> None:
    person = f"mover{number}@example.com"
    rig.add(person)
    rig.deliver(person, *(f"seed-{each}" for each in range(SEEDED)))
    rig.inside("dovecot-a", "doveadm", "sieve", "put", "-u", person, "mine", stdin="keep;\n")
    with Load(rig, person) as load:
        wait_until(lambda: len(load.delivered) > 3 and len(load.flagged) > 3, "a load")
        usual = max(load.gaps.values())  # of a machine that may be busy
        move(mover, person, "b")
        finish(rig, mover)
        more = len(load.delivered) + 3
        wait_until(lambda: len(load.delivered) > more and len(load.flagged) == SEEDED, "mail after the move")
    load.try_again()
    assert not load.refused and not load.lost(), load.deferred
    assert max(load.gaps.values()) < 5 + usual, load.gaps
    assert subjects(rig, person, "dovecot-a") == [], "the source still holds something"
    assert "mine" in rig.inside("dovecot-b", "doveadm", "sieve", "list", "-u", person).stdout
    assert rig.sql("SELECT COUNT(*) FROM mailbox_moves") == "0"


@pytest.mark.parametrize("step", STEPS if len(STEPS) < MOVES else STEPS[1::2])
def test_a_mover_that_dies_at_any_step_leaves_a_mailbox_that_the_next_one_moves(
    rig: Rig, mover: Mover, step: str
) -> None:
    person = f"dies-{step.replace(' ', '')}@example.com"
    rig.add(person)
    rig.deliver(person, "one")

    move(mover, person, "b")
    die_at(mover, step)
    rig.deliver(person, "two")
    finish(rig, mover)
    assert subjects(rig, person, "dovecot-b") == ["one", "two"]
    assert subjects(rig, person, "dovecot-a") == []


def test_a_merge_that_is_repeated_makes_no_mail_twice(rig: Rig, mover: Mover) -> None:
    """Source and target have given their new mails the same number, so that one of them gets another."""
    person = "twice@example.com"
    rig.add(person)
    rig.deliver(person, "one")
    move(mover, person, "b")
    die_at(mover, "kick")
    rig.deliver(person, "late", at="dovecot-a")
    rig.deliver(person, "new")
    for _ in range(2):
        die_at(mover, "note")
    finish(rig, mover)
    assert subjects(rig, person, "dovecot-b") == ["late", "new", "one"]


def test_what_reaches_the_source_late_comes_along_and_nothing_comes_back(rig: Rig, mover: Mover) -> None:
    person = "late@example.com"
    rig.add(person)
    rig.deliver(person, "one", "two", "three")
    move(mover, person, "b")
    assert mover.once()
    session = rig.imap(person)
    session.uid("STORE", "1", "+FLAGS", "(\\Deleted \\Seen)")
    session.uid("STORE", "2", "+FLAGS", "(\\Seen)")
    session.expunge()
    rig.deliver(person, "late", at="dovecot-a")
    finish(rig, mover)
    assert subjects(rig, person, "dovecot-b") == ["late", "three", "two"]
    assert session.uid("SEARCH", "SEEN")[1][0] == b"2"


def test_a_mailbox_that_was_emptied_here_moves_back_with_its_numbers(rig: Rig, mover: Mover) -> None:
    person = "back@example.com"
    rig.add(person)
    rig.deliver(person, "one", "two")
    rig.imap(person).uid("COPY", "1", "INBOX")  # people may have a mail twice
    for shard in "bab":
        before = rig.imap(person).status("INBOX", "(MESSAGES UIDVALIDITY UIDNEXT)")[1]
        move(mover, person, shard)
        finish(rig, mover)
        assert rig.imap(person).status("INBOX", "(MESSAGES UIDVALIDITY UIDNEXT)")[1] == before
        rig.deliver(person, f"after {shard}")
    assert len(subjects(rig, person, "dovecot-b")) == 6


def test_a_mailbox_that_is_over_its_quota_moves_whole(rig: Rig, mover: Mover) -> None:
    person = "full@example.com"
    rig.add(person, quota=2000)
    rig.deliver(person, *(f"mail {number}" for number in range(5)))
    move(mover, person, "b")
    finish(rig, mover)
    # The letter that says so comes along, or comes later.
    assert [each for each in subjects(rig, person, "dovecot-b") if each.startswith("mail ")] == [
        f"mail {number}" for number in range(5)
    ]


def test_what_a_failed_host_had_not_copied_is_merged_when_it_returns(rig: Rig, mover: Mover) -> None:
    """Its copy is as old as the last minute, and counts as many mails as were delivered to the copy since."""
    person = "fire@example.com"
    rig.add(person)
    rig.deliver(person, "copied")
    # As btrfs receives it: with every owner and mode.
    shutil.copytree(rig.disk("a") / "a", rig.disk("b") / "a-2")
    for path in (rig.disk("b") / "a-2").rglob("*"):
        os.chown(path, 1000, 1000)
    os.chown(rig.disk("b") / "a-2", 1000, 1000)
    rig.deliver(person, "not copied")
    with mover.database.transaction() as session:
        take_over(session, COMMAND_LINE, "a", "b", {"a": "a-2"})
    rig.deliver(person, "after the fire")
    assert subjects(rig, person, "dovecot-b") == ["after the fire", "copied"]
    assert not mover.once(), "it is merged although nobody said that the host is back"
    with mover.database.transaction() as session:
        host_is_back(session, COMMAND_LINE, "a", lost=False)
    finish(rig, mover)
    assert subjects(rig, person, "dovecot-b") == ["after the fire", "copied", "not copied"]
    assert rig.sql("SELECT COUNT(*) FROM mailbox_moves") == "0"


def test_with_a_store_down_its_mail_waits_and_its_people_are_told_so_and_others_notice_nothing(
    rig: Rig,
) -> None:
    rig.add("fred@example.com", shard="b")
    rig.add("gina@example.com")
    docker("pause", f"{rig.prefix}-dovecot-b")
    try:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            rig.imap("fred@example.com")
        rig.deliver("gina@example.com", "hello")
        assert rig.imap("gina@example.com")
    finally:
        docker("unpause", f"{rig.prefix}-dovecot-b")
    docker("stop", "--time", "5", f"{rig.prefix}-dovecot-b")
    try:
        with pytest.raises(smtplib.SMTPException) as refused:
            rig.deliver("fred@example.com", "hello")
        assert "451" in str(refused.value)
    finally:
        docker("start", f"{rig.prefix}-dovecot-b")
        rig.ready("dovecot-b")


def test_while_nobody_can_say_where_a_mailbox_is_it_is_not_an_empty_one(rig: Rig) -> None:
    """Passwords can be asked for, the shard cannot: the proxy has no mail of its own to show or to take."""
    rig.add("hana@example.com")
    rig.deliver("hana@example.com", "hello")
    rig.sql("REVOKE SELECT (shard, volume) ON mailboxes FROM dovecot")
    try:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            rig.imap("hana@example.com")
        with pytest.raises(smtplib.SMTPException) as refused:
            rig.deliver("hana@example.com", "more")
        assert "451" in str(refused.value)
    finally:
        rig.sql("GRANT SELECT (shard, volume) ON mailboxes TO dovecot")
    assert rig.imap("hana@example.com").uid("SEARCH", "ALL")[1] == [b"1"]
