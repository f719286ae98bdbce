"""While a version is tried, mail waits: mailctl's own steps on the running stack, without a deployment."""

from __future__ import annotations

import json
import os
import smtplib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.stack.clients import Edge, Mailbox, Sink, message
from tests.stack.conftest import TEMPLATE
from tests.stack.stack import Stack, eventually, run

sys.path.append(str(TEMPLATE / "{{cookiecutter.project_slug}}/platform/mailctl/src"))
from mailctl.core.context import Context
from mailctl.core.engine import connected
from mailctl.core.output import Output
from mailctl.core.runtime import Runtime
from mailctl.core.schema import Schema
from mailctl.core.stack import stack as chosen
from mailctl.deploy import hold
from mailctl.deploy.host import Host
from mailctl.deploy.records import Journal, Point, Records
from mailctl.deploy.tree import Tree

OUTSIDE = "somebody@elsewhere.example"


@pytest.fixture
def host(stack, tmp_path) -> Iterator[Host]:
    """What a deployment of the trial would work with; its records are the test's own."""
    context = chosen(Context(stack.repository, Output(), {**os.environ, **stack.environment}), local=True)
    with connected() as engine:
        runtime = Runtime(context, engine)
        tree, schema = Tree(stack.repository, tmp_path / "stage"), Schema(context, runtime, tmp_path)
        yield Host(context, runtime, tree, Records(tmp_path / "deploy"), schema, lambda _past: [], dict)


@pytest.fixture
def journal() -> Journal:
    found = Journal("20261128T000000.000Z", Point("new"), Point("old"))
    found.hold = hold.needed({"postfix": "other files"}, (), False, False, None)
    return found


@contextmanager
def held(host: Host, journal: Journal) -> Iterator[str]:
    """Mail is held in the block; gives the canaries' word."""
    try:
        hold.on(host, journal)
        assert journal.hold and "not frozen" not in journal.hold["why"] and not journal.touched
        yield journal.hold["word"]
    finally:
        hold.off(host, journal)
        host.runtime.inside("postfix", ["postqueue", "-f"])
        assert journal.hold and journal.hold["seconds"] is not None, journal.reason


@contextmanager
def session(writer: Mailbox) -> Iterator[smtplib.SMTP]:
    host, port = writer.info["submission"].split(":")
    with smtplib.SMTP(host, int(port), timeout=30) as smtp:
        smtp.starttls(context=writer.tls)
        smtp.login(writer.address, writer.password)
        yield smtp


def waits(stack: Stack, sender: str) -> list[str]:
    """In which queue each mail of that sender is."""
    lines = stack.exec("postfix", "postqueue", "-j").splitlines()
    return sorted(one["queue_name"] for line in lines if (one := json.loads(line))["sender"] == sender)


def note(writer: Mailbox, to: str, subject: str) -> EmailMessage:
    return message(subject, sender=writer.address, to=to, received=False)


def test_while_mail_is_held_a_stranger_hears_so_and_a_canary_is_served(stack, host, journal, mailboxes):
    canary, edge = mailboxes.new(f"canary-{uuid4().hex[:6]}"), Edge(stack.info)
    mail = message("through the new version", to=canary.address)
    with held(host, journal) as word:
        answer = edge.post(mail, canary.address)
        assert (answer.status_code, answer.headers["X-Mail-Verdict"]) == (503, "holding")
        assert answer.headers["Retry-After"] == "60"
        headers = {
            "Authorization": f"Bearer {edge.token}",
            "X-Envelope-From": canary.address,
            "X-Envelope-To": canary.address,
            "X-Canary-Pass": word,
        }
        url = f"{stack.info['api']}/v1/messages"
        assert httpx.post(url, content=mail.as_bytes(), headers=headers, timeout=60).status_code == 200
        assert canary.read("through the new version")
    assert edge.post(message("after", to=canary.address), canary.address).status_code == 200


def test_what_is_submitted_or_was_queued_before_waits_and_is_delivered_once(stack, host, journal, mailboxes):
    writer, reader, sink = mailboxes.new("writer"), mailboxes.new("reader"), Sink(stack.info)
    stack.docker("stop", "mailpit")
    try:
        with session(writer) as early:
            early.send_message(note(writer, OUTSIDE, "queued before"))
            eventually(lambda: waits(stack, writer.address) == ["deferred"])
            with held(host, journal):
                stack.docker("start", "mailpit")
                stack.healthy("mailpit")
                # A session that was open already, and a new one.
                early.send_message(note(writer, reader.address, "from an open session"))
                with session(writer) as late:
                    late.send_message(note(writer, OUTSIDE, "from a new session"))
                host.runtime.inside("postfix", ["postqueue", "-f"])
                assert waits(stack, writer.address) == ["hold"] * 3
    finally:
        stack.docker("start", "mailpit")
        stack.healthy("mailpit")
    assert reader.read("from an open session")
    eventually(lambda: waits(stack, writer.address) == [], limit=90)
    for subject in ("queued before", "from a new session"):
        assert sink.subjects().count(subject) == 1
    assert len(reader.find("from an open session")) == 1


def test_what_an_operator_holds_stays_on_hold(stack, host, journal, mailboxes):
    writer, reader = mailboxes.new("writer"), mailboxes.new("reader")
    stack.docker("stop", "mailpit")
    try:
        with session(writer) as smtp:
            smtp.send_message(note(writer, OUTSIDE, "kept by hand"))
        eventually(lambda: waits(stack, writer.address) == ["deferred"])
        lines = map(json.loads, stack.exec("postfix", "postqueue", "-j").splitlines())
        [id] = [one["queue_id"] for one in lines if one["sender"] == writer.address]
        stack.exec("postfix", "postsuper", "-h", id)
        with held(host, journal), session(writer) as smtp:
            smtp.send_message(note(writer, reader.address, "kept by the deployment"))
        assert reader.read("kept by the deployment")
        # Dovecot shows a mail a moment before Postfix forgets it.
        eventually(lambda: waits(stack, writer.address) == ["hold"])
        stack.exec("postfix", "postsuper", "-d", id)
    finally:
        stack.docker("start", "mailpit")
        stack.healthy("mailpit")


def test_postfix_comes_up_holding_when_it_is_recreated_meanwhile(stack, host, journal, mailboxes):
    writer, reader = mailboxes.new("writer"), mailboxes.new("reader")
    with held(host, journal):
        stack.docker("restart", "postfix")
        stack.healthy("postfix")
        with session(writer) as smtp:
            smtp.send_message(note(writer, reader.address, "taken by the new one"))
        assert waits(stack, writer.address) == ["hold"]
    assert reader.read("taken by the new one")


def test_a_mailbox_that_moves_is_open_to_the_canaries_only(stack, host, journal, mailboxes):
    reader = mailboxes.new()
    log_in = (
        "import imaplib, ssl, sys; s = imaplib.IMAP4('dovecot', int(sys.argv[1]), timeout=5); "
        "s.starttls(ssl.create_default_context(cafile='/run/secrets/internal_ca_crt')); "
        f"s.login({reader.address!r}, {reader.password!r})"
    )
    assert journal.hold
    journal.hold["closed"] = True
    with held(host, journal):
        stack.docker("restart", "dovecot")
        stack.healthy("dovecot")
        stack.exec("mailserver-api", "python", "-c", log_in, "31144")
        with pytest.raises(AssertionError, match="refused"):
            stack.exec("mailserver-api", "python", "-c", log_in, "31143")
        with pytest.raises(OSError):
            Mailbox(reader.address, stack.info).imap.noop()
    stack.exec("mailserver-api", "python", "-c", log_in, "31143")
    eventually(lambda: Mailbox(reader.address, stack.info).imap.noop()[0] == "OK")
    assert not Path(host.context.folder("SSD_PATH", ""), "hold/dovecot/closed.conf").exists()


#: Of several hosts, in a container without Postfix: what would be asked of it, before one is up and after.
FOLLOWED = """set -eu
queue=/var/spool/postfix
mkdir -p /tmp/bin /run/postfix /run/hold/postfix $queue/incoming $queue/pid
printf '#!/bin/sh\\necho "$*"\\n' >/tmp/bin/postfix && chmod +x /tmp/bin/postfix
echo '/^/ HOLD' >/run/hold/postfix/header_checks
: >/run/postfix/hold
PATH=/tmp/bin:$PATH
timeout 3 follow-hold || true
echo up
cp /bin/sleep /tmp/master && { /tmp/master 60 & }
echo "   $!" >$queue/pid/master.pid
timeout 5 follow-hold || true
cmp /run/hold/postfix/header_checks $queue/pid/hold
"""


def test_what_follows_the_table_asks_nothing_of_a_postfix_that_only_just_starts(stack):
    """Its commands take the lock for a moment: a Postfix that starts then finds it taken, and ends."""
    image = stack.inspect("postfix")["Image"]
    words = ("docker", "run", "--rm", "--user", "0", "--entrypoint", "sh", image, "-c", FOLLOWED)
    assert run(*words, cwd=TEMPLATE).splitlines() == ["up", "reload"]
