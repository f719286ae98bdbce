"""Mail for addresses outside, forwarded where it came in: the Worker in Cloudflare's runtime, the real API.

The mail server behind the API plays the filter: it names where to forward. FORWARD_MAILS says how many mails
there are, FORWARD_KILLS how often the Worker and the API are killed meanwhile (`make soak`: 500 and 20).
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from time import monotonic

import httpx
import pytest

from tests.apps.edge import Api, Edge, Postfix, until
from tests.forwarded import BAD, GOOD, OTHER, REFUSAL, Outside, servers

MAILS = int(os.environ.get("FORWARD_MAILS", "60"))
KILLS = int(os.environ.get("FORWARD_KILLS", "4"))
ME = "me@here.example"
KINDS = ("plain", "plain", "plain", "spam", "loop")


@pytest.fixture
def outside() -> Iterator[Outside]:
    with servers() as running:
        yield running


@pytest.fixture
def edge(program, tmp_path, api, server, outside) -> Iterator[Edge]:
    """A Worker before an API whose filter names three addresses for what is no spam."""

    async def judge(mail) -> None:
        kind = mail.content.partition(b"Subject: ")[2].partition(b" ")[0].decode()
        if kind == "spam":
            return
        named = {"key": mail.key.decode(), "recipient": ME, "destinations": [GOOD, OTHER, BAD]}
        named["reason"] = "loop" if kind == "loop" else ""
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.post(f"{api.url}/internal/forwards", json=named)
        except httpx.HTTPError as error:
            raise ConnectionError from error
        assert answer.status_code in (200, 404), answer.text

    server.smtp.judge = judge
    api.start()
    variables = {"FORWARD_URL": outside.url, "TIMEOUT_SECONDS": "4"}
    worker = Edge(program, tmp_path / "edge", api.url, variables=variables, patience=15)
    worker.start()
    yield worker
    worker.kill()


def mail(mark: str) -> bytes:
    head = (
        f"From: a@sender.example\r\nTo: {ME}\r\nSubject: {mark}\r\nMessage-ID: <{mark.replace(' ', '-')}@x>"
    )
    return f"{head}\r\nDate: Sat, 28 Nov 2026 09:00:00 +0000\r\n\r\ntext\r\n".encode()


def send(edge: Edge, mark: str) -> str:
    """One attempt of the sender's server; what is no answer is one to try again."""
    try:
        return edge.send(mail(mark), to=ME, mark=mark)
    except (httpx.HTTPError, AssertionError, RuntimeError) as error:
        return f"thrown: {error}"


def deliver(edge: Edge, mark: str, limit: float = 180) -> str:
    """As the sender's server does: again and again until it is done with it."""
    end, pause = monotonic() + limit, threading.Event()
    while (said := send(edge, mark)).startswith("thrown"):
        assert monotonic() < end, said
        pause.wait(0.3)
    return said


def failed(api: Api) -> dict[tuple[str, str], int]:
    """How many mails were not forwarded, by address and reason."""
    return {
        (each["destination"], each["reason"]): each["count"]
        for each in api.get("/v1/forwards").json()["failed"]
    }


@contextmanager
def killing(edge: Edge, api: Api, outside: Outside) -> Iterator[None]:
    """Kill the Worker and the API in turn, each time while mail goes out, and start it again."""
    over, rest = threading.Event(), random.Random(22)  # noqa: S311 (an order to repeat)

    def work() -> None:
        for number in range(KILLS):
            moment = len(outside.came) + rest.randint(1, 8)
            until(lambda moment=moment: len(outside.came) >= moment or over.is_set(), 180)
            victim = edge if number % 2 else api
            victim.kill()
            victim.start()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        yield
        over.set()
        done.result()


@pytest.mark.parametrize("spool", [False, True], ids=["no bucket", "a bucket"])
def test_each_mail_goes_where_it_must_however_often_worker_and_api_are_killed(
    edge, api, server, outside, spool
):
    edge.kill()
    edge.spool = spool
    edge.start()
    marks = [f"{KINDS[number % len(KINDS)]} {number}" for number in range(MAILS)]
    with killing(edge, api, outside), ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda mark: deliver(edge, mark), marks))
    if spool:
        until(lambda: edge.cron() or not edge.objects(), 300)
    assert said == ["accepted"] * MAILS
    plain = {mark for mark in marks if mark.startswith("plain")}
    came, told = Counter(outside.came), failed(api)
    rows = remembered(api, server)
    assert {mark for mark, _ in rows} == {mark for mark in marks if not mark.startswith("spam")}
    # None is lost in silence: what is told as done has come; the rest has failed, or nobody confirmed it.
    assert {way for way, state in rows.items() if state == "done"} <= set(came) <= {*ways(plain)}
    assert {to for _, to in rows} == {GOOD, OTHER, BAD}
    # Without a bucket the sender's server comes again: only what a kill left unreported has not come.
    assert spool or len({*ways(plain)} - set(came)) <= KILLS * 6
    # Twice only where somebody died between Cloudflare's yes and its report: up to six mails at a kill.
    assert sum(came.values()) - len(came) <= KILLS * 6
    assert told[BAD, REFUSAL] and all(state != "done" for (_, to), state in rows.items() if to == BAD)
    loops = sum(mark.startswith("loop") for mark in marks)
    assert [told[to, "loop"] for to in (GOOD, OTHER, BAD)] == [loops] * 3
    # The originals are in the mail server, where one that comes twice is known by its key.
    assert {*server.marks()} == {*marks}
    assert outside.headers == {("x-mailserver-forwarded", ME)}


def ways(marks: set[str]) -> Iterator[tuple[str, str]]:
    """Where these mails are to arrive."""
    yield from ((mark, to) for mark in marks for to in (GOOD, OTHER))


def remembered(api: Api, server: Postfix) -> dict[tuple[str, str], str]:
    """What the API holds of each mail and address."""
    marks = dict(zip([mail.key.decode() for mail in server.smtp.delivered], server.marks(), strict=True))
    with closing(sqlite3.connect(api.state / "outcomes.db")) as db:
        rows = db.execute("SELECT key, destination, state FROM forwards").fetchall()
    return {(marks[key], destination): state for key, destination, state in rows}


def test_a_mail_that_comes_again_is_not_forwarded_again(edge, api, outside):
    assert [deliver(edge, "plain 1"), deliver(edge, "plain 1")] == ["accepted"] * 2
    assert sorted(outside.came) == [("plain 1", GOOD), ("plain 1", OTHER)]


def test_while_somebody_forwards_a_second_call_is_to_come_later_and_forwards_nothing_twice(edge, outside):
    outside.gate.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, edge, "plain 1")
        until(lambda: outside.came)
        assert send(edge, "plain 1").startswith("thrown: HTTP 503")
        outside.gate.set()
        assert first.result() == "accepted"
    assert deliver(edge, "plain 1") == "accepted"
    assert sorted(outside.came) == [("plain 1", GOOD), ("plain 1", OTHER)]


def test_what_waited_in_the_spool_is_told_as_not_forwarded_and_is_in_the_mailbox(edge, api, server, outside):
    api.stop()
    assert send(edge, "plain 1") == "accepted"
    api.start()
    edge.cron()
    assert (server.marks(), outside.came, edge.objects("")) == (["plain 1"], [], [])
    assert failed(api) == {(to, "spool"): 1 for to in (GOOD, OTHER, BAD)}
