"""What an operator looks with: status, trace, queue and logs, on a stack through which mail goes."""

from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.stack.clients import Edge, Sink, message
from tests.stack.stack import Stack, eventually


def asked(stack: Stack, *words: str) -> dict:
    return json.loads(stack.mailctl(*words, "--local", "--json"))


def status(stack: Stack) -> tuple[int, dict]:
    """Its exit code, which other tests' leftovers and a full disk make 1, and its document."""
    done = subprocess.run(
        [".venv/bin/mailctl", "status", "--local", "--json"],
        cwd=stack.repository,
        env={**stack.environment, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def way(stack: Stack, name: str) -> dict:
    """The only mail of that name; it is an assertion, as its lines may not all be in the logs yet."""
    mails = asked(stack, "trace", name)["mails"]
    assert len(mails) == 1, mails
    return mails[0]


def ended(stack: Stack, name: str, result: str) -> dict:
    """The same, once it has come to that end: services write into their logs after they have answered."""
    return eventually(lambda: (one := way(stack, name))["result"] == result and one)


@pytest.fixture
def sink(stack) -> Sink:
    return Sink(stack.info)


def test_the_whole_way_of_an_inbound_mail_is_traced_by_each_of_its_names(stack, mailboxes):
    reader, mail = mailboxes.new(), message("traced in")
    queue_id = Edge(stack.info).post(mail, reader.address).json()["queue_id"]
    reader.read("traced in")
    steps = {
        ("mailserver-api", "received"),
        ("postfix", "received"),
        ("rspamd", "checked"),
        ("postfix", "queued"),
        ("mailserver-api", "accepted"),
        ("dovecot", "delivered"),
        ("postfix", "delivered"),
    }

    def whole() -> dict:
        one = ended(stack, queue_id, "delivered")
        assert steps <= {(step["service"], step["decided"]) for step in one["steps"]}, one
        return one

    found = eventually(whole)
    assert (found["from"], found["to"]) == ("writer@sender.example", [reader.address])
    assert any("LOCAL_OUTBOUND" in step.get("symbols", {}) for step in found["steps"])
    for name in (mail["Message-ID"], mail["Message-ID"].strip("<>"), reader.address):
        eventually(lambda name=name: way(stack, name) == way(stack, queue_id))
    shown = stack.mailctl("trace", queue_id, "--local")
    assert "stored mail into mailbox 'INBOX'" in shown and "not through Cloudflare" in shown


def test_a_refused_mail_is_traced_by_its_message_id_to_whoever_refused_it(stack, mailboxes):
    mail = message("traced nowhere")
    nobody = f"nobody-at-all@{mailboxes.domain}"
    assert Edge(stack.info).post(mail, nobody).status_code == 404
    found = ended(stack, mail["Message-ID"], "refused")
    assert found["to"] == [nobody]
    assert "unknown-recipient" in found["steps"][-1]["text"]


def test_mail_that_waits_is_seen_tried_and_traced_to_the_relays_answer(stack, mailboxes, sink):
    writer = mailboxes.new()
    mail = message("waits", sender=writer.address, to="friend@far.example", received=False)
    other = message("given up", sender=writer.address, to="foe@far.example", received=False)
    stack.docker("stop", "mailpit")
    try:
        for each in (mail, other):
            writer.send(each, each["To"])
        queued = eventually(
            lambda: (
                len(found := {m["recipients"][0]: m for m in asked(stack, "queue", "list")["mails"]}) == 2
                and all(m["reason"] for m in found.values())
                and found
            )
        )
        waits, unwanted = queued["friend@far.example"]["id"], queued["foe@far.example"]["id"]
        code, seen = status(stack)
        assert code == 1, "mailpit is down"
        assert seen["queue"]["count"] == seen["queue"]["deferred"] == 2
        assert {"queue": "warning"}.items() <= {line["name"]: line["mark"] for line in seen["lines"]}.items()
        ended(stack, waits, "deferred")
        stack.mailctl("queue", "hold", unwanted, "--yes", "--local")
        assert asked(stack, "queue", "show", unwanted)["mail"]["queue"] == "hold"
        assert "Subject: given up" in stack.mailctl("queue", "show", unwanted, "--local")
    finally:
        stack.docker("start", "mailpit")
        stack.healthy("mailpit")
    assert asked(stack, "queue", "flush")["mails"] == [waits]
    assert sink.raw("waits")
    assert not sink.has("given up")
    stack.mailctl("queue", "delete", unwanted, "--yes", "--local")
    eventually(lambda: "is empty" in stack.mailctl("queue", "--local"))
    sent = ended(stack, mail["Message-ID"], "sent")
    assert sent["id"] == waits
    assert [s["decided"] for s in sent["steps"] if s["decided"] in ("deferred", "sent")][-1] == "sent"
    assert "logged in as" in sent["steps"][0]["text"] and "250" in sent["steps"][-1]["text"]
    ended(stack, unwanted, "removed")


def test_logs_are_one_line_each_and_end_when_they_are_not_followed(stack):
    lines = stack.mailctl("logs", "postfix", "mariadb", "--lines", "5", "--local").splitlines()
    assert 2 <= len(lines) <= 10
    assert all(re.match(r"\d\d \w{3} \d\d:\d\d:\d\d (postfix|mariadb)", line) for line in lines), lines


@pytest.mark.parametrize(
    ("file", "old", "new", "service", "reason"),
    [
        (
            "docker-compose.yml",
            "stop_grace_period: 60s",
            "stop_grace_period: 61s",
            "postfix",
            "other settings",
        ),
        (
            "config/dovecot/dovecot.conf",
            "login_greeting = Ready.",
            "login_greeting = Hello.",
            "dovecot",
            "files",
        ),
    ],
)
def test_an_edit_that_does_not_run_yet_is_drift(stack, file, old, new, service, reason):
    before = status(stack)[1]["drift"]
    if reason in before.get(service, ""):
        # Another test has edited what this container mounts: started again, it has read all of it.
        stack.docker("restart", service)
        stack.healthy(service)
        before = status(stack)[1]["drift"]
    path = stack.repository / file
    text = path.read_text()
    assert text.count(old) == 1
    try:
        path.write_text(text.replace(old, new))
        after = status(stack)[1]["drift"]
    finally:
        path.write_text(text)
    assert reason in after.get(service, "") and reason not in before.get(service, ""), (before, after)
    assert {*after} - {*before} <= {service}, (before, after)


def found(box, words: str) -> list[bytes]:
    """The mails of INBOX whose text has the words, as a mail program asks."""
    box.imap.select("INBOX")
    box.imap.literal = words.encode()
    return box.imap.search("UTF-8", "BODY")[1][0].split()


def test_words_of_any_language_are_found_also_after_the_index_was_built_again(stack, mailboxes):
    box = mailboxes.new()
    body = (
        "The Quarterly invoice für Zürich.\n今日は東京都の天気がとても良いので、公園で昼ご飯を食べました。\n"
        "请把会议资料发给我。\n"
    )
    post = Edge(stack.info).post
    assert post(message("words", to=box.address, text=body), box.address).status_code == 200
    box.read("words")
    for again in (False, True):
        if again:
            assert asked(stack, "search", "rebuild", box.address)["rebuilt"] == [box.address]
        for words in ("quarter", "voice", "zurich", "京都", "食べました", "会议资料"):
            assert found(box, words) == [b"1"], words
        assert found(box, "大阪") == []
