"""Mail waits at the edge while the host is off: the Worker in Cloudflare's runtime, the real API, its ledger.

SPOOL_MAILS says how many mails there are, SPOOL_KILLS how often the Worker is killed while it hands them in
(`make soak`: 2,000 and 20).
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from time import monotonic

import httpx
import pytest

from tests.apps.edge import Edge, Postfix, until

MAILS = int(os.environ.get("SPOOL_MAILS", "100"))
KILLS = int(os.environ.get("SPOOL_KILLS", "3"))
MIB = 1024 * 1024
#: A few bytes below what the API takes.
LARGEST = 25 * MIB - 1024
#: Seconds that the Worker is given for one mail, and how much longer it may take on a busy machine: who is
#: asked there never answers.
LIMIT, SPARE = 2, 30


@pytest.fixture
def edge(program, tmp_path, api) -> Iterator[Edge]:
    worker = Edge(program, tmp_path / "edge", api.url)
    worker.start()
    yield worker
    worker.kill()


def mail(mark: object, size: int = 0) -> bytes:
    """A mail that its subject tells from the others."""
    head = f"From: a@sender.example\r\nTo: b@here.example\r\nSubject: {mark}\r\nMessage-ID: <{mark}@x>\r\n"
    date = "Date: Sat, 28 Nov 2026 09:00:00 +0000\r\n\r\n"
    return (head + date).encode() + b"text \xff\r\n" + b"x" * max(0, size - len(head + date) - 8) + b"\r\n"


def drain(edge: Edge) -> None:
    """The cron trigger, a minute after the other, until nothing waits."""
    until(lambda: edge.cron() or not edge.objects(), 300)


def test_mails_of_the_time_off_arrive_once_each_and_in_order_however_often_the_worker_is_killed(
    edge, api, server
):
    sent = [edge.send(mail(number)) for number in range(MAILS)]
    assert sent == ["accepted"] * MAILS
    assert len(edge.objects()) == MAILS
    api.start()
    moments = sorted(random.Random(18).sample(range(1, MAILS), KILLS))  # noqa: S311 (an order to repeat)
    for number, moment in enumerate(moments):
        killed_while_handing_in(edge, server, moment, is_unanswered=number % 2 == 0)
        edge.start()
    drain(edge)
    assert server.marks() == [str(number) for number in range(MAILS)]
    assert edge.objects("") == []


def killed_while_handing_in(edge: Edge, server: Postfix, moment: int, *, is_unanswered: bool) -> None:
    """Kill the Worker once so many mails were taken: before it hears of the last, or just after."""

    def cron() -> None:
        with suppress(httpx.HTTPError):
            while len(server.smtp.delivered) < moment:
                edge.cron()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(cron)
        until(lambda: len(server.smtp.delivered) >= moment - is_unanswered, 120)
        if is_unanswered:
            server.hold()
            until(lambda: server.smtp.held > len(server.smtp.delivered))
        edge.kill()
    server.release()


def test_a_mail_arrives_byte_for_byte_by_the_spool_too(edge, api, server):
    raws = [mail("small"), mail("large", 3 * MIB)]
    assert [edge.send(raw) for raw in raws] == ["accepted"] * 2
    api.start()
    drain(edge)
    assert [mail.content for mail in server.smtp.delivered] == raws


def test_while_the_api_answers_the_spool_is_empty_again_when_the_sender_hears_it(edge, api, server):
    api.start()
    assert edge.send(mail("small")) == edge.send(mail("large", 3 * MIB)) == "accepted"
    server.portal.call(server.smtp.answers.update, {"rcpt": "550 5.1.1 unknown"})
    assert edge.send(mail("nobody")).startswith("rejected: There is no such mailbox")
    server.portal.call(server.smtp.answers.update, {"rcpt": "451 4.3.0 later"})
    assert edge.send(mail("later")).startswith("thrown: HTTP 503")
    assert (edge.objects(), server.marks()) == ([], ["small", "large"])


@pytest.mark.parametrize("size", [0, LARGEST], ids=["small", "25 MiB"])
def test_the_sender_hears_yes_in_time_whatever_the_size_when_nobody_answers(edge, api, server, size):
    with mute(api.port):
        began = monotonic()
        assert edge.send(mail("kept", size), TIMEOUT_SECONDS=str(LIMIT)) == "accepted"
        assert monotonic() - began < LIMIT + SPARE
    assert len(edge.objects()) == 1
    api.start()
    drain(edge)
    assert server.marks() == ["kept"]


def test_without_a_bucket_it_ends_in_time_too(program, tmp_path, api):
    worker = Edge(program, tmp_path / "without", api.url, spool=False)
    worker.start()
    with mute(api.port):
        began = monotonic()
        said = worker.send(mail("deferred", LARGEST), TIMEOUT_SECONDS=str(LIMIT))
        assert monotonic() - began < LIMIT + SPARE
    worker.kill()
    assert said.startswith("thrown: no verdict within")


@contextmanager
def mute(port: int) -> Iterator[None]:
    """Somebody who takes connections there and says nothing."""
    with socket.create_server(("127.0.0.1", port)):
        yield


def test_a_refusal_after_the_fact_is_kept_and_told_to_the_host(edge, api, server):
    passed = {"Authentication-Results": "mx.cloudflare.net; spf=pass smtp.mailfrom=a@sender.example"}
    assert edge.send(mail("virus"), headers=passed) == edge.send(mail("good")) == "accepted"
    api.start()
    server.portal.call(server.smtp.answers.update, {"message": "554 5.7.1 virus found"})
    edge.cron()
    server.portal.call(server.smtp.answers.clear)
    edge.cron()
    report = api.get("/v1/spool").json()
    assert (report["waiting"], len(report["refused"])) == (0, 2)
    (kept, _) = sorted(report["refused"], key=lambda each: not each["authenticated"])
    assert (kept["from"], kept["to"], kept["verdict"]) == ("a@sender.example", "b@here.example", "refused")
    assert "virus found" in kept["text"] and kept["authenticated"] is True
    assert server.marks() == [] and len(edge.objects("refused/")) == 2


def test_a_mail_that_is_deferred_alone_lets_the_others_pass_and_gets_its_turn(edge, api, server):
    assert [edge.send(mail(mark)) for mark in ("stuck", "second")] == ["accepted"] * 2
    api.start()
    server.portal.call(server.smtp.answers.update, {"message": "451 4.7.1 the scanner has doubts"})
    edge.cron()
    server.portal.call(server.smtp.answers.clear)
    edge.cron()
    assert server.marks() == []
    edge.cron(later=60 + 700)
    assert server.marks() == ["stuck", "second"]
