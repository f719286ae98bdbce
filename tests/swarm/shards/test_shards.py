"""People and mail on two stores behind a proxy: who is led where, and mailboxes that move under load."""

from __future__ import annotations

import imaplib
import json
import os
import smtplib
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import URL

from tests.standins.hardened import docker, wait_until
from tests.swarm.shards.conftest import Policy
from tests.swarm.shards.load import SEEDED, Load
from tests.swarm.shards.rig import API_KEY, PASSWORD, SECRET, Rig
from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm
from usermgmt.mail.stores import Stores
from usermgmt.mover import Mover
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.placement import ask_for_moves

MOVES = int(os.environ.get("SHARD_MOVES", "3"))


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


def test_usermgmt_ends_sessions_and_asks_for_sizes_by_the_proxy(rig: Rig) -> None:
    rig.add("emma@example.com", shard="b")
    rig.deliver("emma@example.com", "hello")
    session = rig.imap("emma@example.com")
    doveadm = Doveadm("dovecot", API_KEY, rig.tls())
    assert doveadm.used_bytes(["emma@example.com"], 30)["emma@example.com"] > 0
    doveadm.kick(["emma@example.com"])
    with pytest.raises((imaplib.IMAP4.abort, OSError)):
        session.noop()


@pytest.mark.parametrize("number", range(MOVES))
def test_a_mailbox_moves_under_load_and_nothing_is_lost(rig: Rig, mover: Mover, number: int) -> None:
    person = f"mover{number}@example.com"
    rig.add(person)
    rig.deliver(person, *(f"seed-{each}" for each in range(SEEDED)))
    rig.inside("dovecot-a", "doveadm", "sieve", "put", "-u", person, "mine", stdin="keep;\n")
    with Load(rig, person) as load:
        wait_until(lambda: len(load.delivered) > 3 and len(load.flagged) > 3, "a load")
        move(mover, person, "b")
        finish(rig, mover)
        more = len(load.delivered) + 3
        wait_until(lambda: len(load.delivered) > more and len(load.flagged) == SEEDED, "mail after the move")
    assert not load.refused and not load.lost()
    assert max(load.gaps.values()) < 5, load.gaps
    assert subjects(rig, person, "dovecot-a") == [], "the source still holds something"
    assert "mine" in rig.inside("dovecot-b", "doveadm", "sieve", "list", "-u", person).stdout
    assert rig.sql("SELECT COUNT(*) FROM mailbox_moves") == "0"


@pytest.mark.parametrize("step", ["copy 2", "flip", "kick", "merge", "settle"])
def test_a_mover_that_dies_at_any_step_leaves_a_mailbox_that_the_next_one_moves(
    rig: Rig, mover: Mover, step: str
) -> None:
    person = f"dies-{step.replace(' ', '')}@example.com"
    rig.add(person)
    rig.deliver(person, "one")

    def die(name: str) -> None:
        if name == step:
            raise KeyboardInterrupt

    dying = Mover(mover.database, mover.stores, mover.settled, die)
    move(mover, person, "b")
    with pytest.raises(KeyboardInterrupt):
        while dying.once():
            pass
    rig.deliver(person, "two")
    finish(rig, mover)
    assert subjects(rig, person, "dovecot-b") == ["one", "two"]
    assert subjects(rig, person, "dovecot-a") == []


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


def test_without_the_database_nobody_is_given_an_empty_mailbox(rig: Rig) -> None:
    docker("pause", f"{rig.prefix}-mariadb")
    answers: list[str] = []

    def look() -> None:
        try:
            rig.imap("anna@example.com")
            answers.append("in")
        except (imaplib.IMAP4.error, OSError) as error:
            answers.append(str(error))

    asking = threading.Thread(target=look)
    asking.start()
    asking.join(45)
    docker("unpause", f"{rig.prefix}-mariadb")
    asking.join(45)
    assert answers and answers != ["in"]
