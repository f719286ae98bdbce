"""A message that was accepted once is not delivered again."""

import asyncio
import itertools
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

import pytest
from calls import MAIL, post, running
from hypothesis import given
from hypothesis import strategies as st
from smtp_server import SmtpServer

from mailserver_api.addresses import Envelope
from mailserver_api.fingerprint import MAX_HEADER_BYTES, Fingerprint
from mailserver_api.ledger import Ledger, LedgerError
from mailserver_api.settings import Settings
from mailserver_api.spool import Spool

IDENTIFIED = b"Message-ID: <1@x>\r\nDate: Tue, 24 Nov 2026 00:00:00 +0000\r\n" + MAIL


def key_of(message: bytes, *cuts: int) -> str:
    fingerprint = Fingerprint(Envelope("a@b.example", "c@d.example"))
    bounds = [0, *sorted(cuts), len(message)]
    for start, end in itertools.pairwise(bounds):
        fingerprint.feed(message[start:end])
    return fingerprint.key()


async def test_a_repeat_is_answered_with_the_first_queue_id_and_not_delivered(api, smtp: SmtpServer):
    first, second = await post(api), await post(api)
    assert [first.status_code, second.status_code] == [200, 200]
    assert second.json() == {"verdict": "accepted", "queue_id": "4XyZ0001", "duplicate": True}
    assert len(smtp.delivered) == 1


async def test_a_repeat_is_recognized_after_a_restart(settings: Settings, smtp: SmtpServer):
    for expected in (False, True):
        async with running(settings) as client:
            assert (await post(client)).json()["duplicate"] is expected
    assert len(smtp.delivered) == 1


@pytest.mark.parametrize(
    "change", [{"sender": "z@z.example"}, {"to": "z@here.example"}, {"content": MAIL + b"."}]
)
async def test_another_sender_recipient_or_body_is_another_message(api, smtp: SmtpServer, change):
    await post(api)
    await post(api, **change)
    assert len(smtp.delivered) == 2


@pytest.mark.parametrize("answer", ["451 4.3.0 later", "554 5.7.1 virus", "lost"])
async def test_a_message_that_was_not_accepted_is_tried_again(api, smtp: SmtpServer, answer):
    smtp.answers["message"] = answer
    assert (await post(api)).status_code != 200
    smtp.answers.clear()
    response = await post(api)
    assert (response.status_code, response.json()["duplicate"]) == (200, False)


async def test_equal_messages_at_the_same_moment_are_submitted_once(api, smtp: SmtpServer):
    smtp.hold.clear()
    posts = [asyncio.create_task(post(api)) for _ in range(5)]
    await asyncio.wait_for(smtp.waiting.wait(), 3)
    smtp.hold.set()
    answers = [answer.json() for answer in await asyncio.gather(*posts)]
    assert {answer["queue_id"] for answer in answers} == {"4XyZ0001"}
    assert sorted(answer["duplicate"] for answer in answers) == [False, True, True, True, True]
    assert (len(smtp.delivered), smtp.connections) == (1, 1)


async def test_an_acceptance_after_the_caller_gave_up_is_remembered_even_over_a_shutdown(
    settings: Settings, smtp: SmtpServer
):
    smtp.hold.clear()
    async with running(settings) as client:
        given_up = asyncio.create_task(post(client))
        await asyncio.wait_for(smtp.waiting.wait(), 3)
        given_up.cancel()
        await asyncio.wait({given_up})
        smtp.hold.set()
    async with running(settings) as client:
        assert (await post(client)).json()["duplicate"] is True
    assert len(smtp.delivered) == 1


async def test_equal_messages_at_the_same_moment_share_a_refusal(api, smtp: SmtpServer):
    smtp.answers["message"] = "554 5.7.1 virus"
    smtp.hold.clear()
    posts = [asyncio.create_task(post(api)) for _ in range(2)]
    await asyncio.wait_for(smtp.waiting.wait(), 3)
    smtp.hold.set()
    assert [answer.status_code for answer in await asyncio.gather(*posts)] == [422, 422]


async def test_a_damaged_ledger_is_temporary_and_nothing_is_submitted(
    api, settings: Settings, smtp: SmtpServer
):
    (settings.state_dir / "state.db").write_bytes(b"this is no database " * 500)
    assert (await post(api)).status_code == 503
    assert smtp.connections == 0
    (settings.state_dir / "state.db").unlink()
    assert (await post(api)).status_code == 200


async def test_a_full_disk_under_the_ledger_is_temporary_and_nothing_is_submitted(
    api, settings: Settings, smtp: SmtpServer, monkeypatch
):
    def small(self: Ledger) -> sqlite3.Connection:
        db = original(self)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    original = Ledger._open
    monkeypatch.setattr(Ledger, "_open", small)
    statuses = [(await post(api, MAIL + b"%d" % number)).status_code for number in range(60)]
    assert statuses[-1] == 503
    assert len(smtp.delivered) == statuses.count(200) == smtp.connections


async def test_a_full_disk_under_the_spool_is_temporary_and_nothing_is_submitted(
    api, smtp: SmtpServer, monkeypatch
):
    def full(_: Spool) -> BinaryIO:
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(Spool, "open", full)
    response = await post(api)
    assert (response.status_code, smtp.connections) == (503, 0)
    assert "No space left" in response.json()["detail"]


async def test_an_acceptance_that_cannot_be_recorded_is_still_answered_as_one(api, monkeypatch):
    def fail(*_: object) -> None:
        raise LedgerError("disk full")

    monkeypatch.setattr(Ledger, "accept", fail)
    assert (await post(api)).status_code == 200


def test_a_message_is_forgotten_after_its_time_and_the_file_stays_small(tmp_path):
    now = 1_000_000.0
    ledger = Ledger(tmp_path / "state.db", 100, lambda: now)
    assert ledger.claim("a") == (False, None)
    ledger.accept("a", "Q1")
    assert ledger.claim("a") == (True, "Q1")
    now += 4000
    assert ledger.claim("b") == (False, None)
    assert ledger.claim("a") == (False, None)
    ledger.close()


def test_a_claim_left_by_a_crash_does_not_hide_the_message(tmp_path):
    crashed = Ledger(tmp_path / "state.db", 100)
    crashed.claim("a")
    crashed.close()
    with closing(Ledger(tmp_path / "state.db", 100)) as restarted:
        assert restarted.claim("a") == (False, None)


def test_releasing_never_forgets_an_accepted_message(tmp_path):
    ledger = Ledger(tmp_path / "state.db", 100)
    ledger.claim("a")
    ledger.accept("a", "Q1")
    ledger.release("a")
    assert ledger.claim("a") == (True, "Q1")
    ledger.close()


def test_new_trace_fields_of_a_senders_retry_do_not_hide_the_repeat():
    trace = b"Received: from x\r\n\tby y; Tue\r\nARC-Seal: i=1\r\nX-CF-SpamH-Score: 0\r\n"
    assert (
        key_of(trace + IDENTIFIED) == key_of(trace.replace(b"Tue", b"Wed") + IDENTIFIED) == key_of(IDENTIFIED)
    )


def test_a_message_without_message_id_is_recognized_by_every_byte_only():
    assert key_of(b"Received: a\r\n" + MAIL) != key_of(b"Received: b\r\n" + MAIL)


@pytest.mark.parametrize("old", [b"Subject: hi", b"hello", b"<1@x>", b"00:00:00"])
def test_a_change_outside_the_trace_fields_is_another_message(old):
    assert key_of(IDENTIFIED) != key_of(IDENTIFIED.replace(old, old + b"!"))


def test_a_header_without_end_is_not_kept_in_memory():
    fingerprint = Fingerprint(Envelope("", "c@d.example"))
    for _ in range(100):
        fingerprint.feed(b"x" * 64 * 1024)
    assert fingerprint._header is None


@pytest.mark.parametrize("message", [IDENTIFIED, IDENTIFIED.replace(b"\r", b"")], ids=["CRLF", "LF"])
def test_the_key_is_the_same_wherever_the_message_is_cut_once(message):
    assert {key_of(message, cut) for cut in range(len(message))} == {key_of(message)}


@given(
    st.sampled_from([MAIL, IDENTIFIED, b"no header end", b"\n\n", IDENTIFIED.replace(b"\r", b"")]),
    st.lists(st.integers(0, 150), max_size=6),
)
def test_the_key_does_not_depend_on_how_the_message_was_cut(message, cuts):
    assert key_of(message, *[min(cut, len(message)) for cut in cuts]) == key_of(message)


@pytest.mark.parametrize("extra", [-1, 0, 1, 5])
def test_the_key_of_an_endless_header_does_not_depend_on_how_it_was_cut(extra):
    start = b"Message-ID: <1@x>\r\nDate: x\r\nX: "
    message = start + b"y" * (MAX_HEADER_BYTES - len(start) + extra) + b"\r\n\r\nbody"
    cuts = range(MAX_HEADER_BYTES - 8, MAX_HEADER_BYTES + 8)
    assert len({key_of(message, cut) for cut in cuts}) == 1
