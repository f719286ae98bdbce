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
from mailserver_api.ledger import Ledger
from mailserver_api.metrics import Metrics
from mailserver_api.settings import Settings
from mailserver_api.spool import Spool
from mailserver_api.stores import FileStore
from mailserver_api.verdicts import Outcome, Verdict

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
    await asyncio.wait_for(smtp.waiting.wait(), 30)
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
        await asyncio.wait_for(smtp.waiting.wait(), 30)
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
    await asyncio.wait_for(smtp.waiting.wait(), 30)
    smtp.hold.set()
    assert [answer.status_code for answer in await asyncio.gather(*posts)] == [422, 422]


@pytest.mark.parametrize("step", ["before the caller gives up", "after it"])
async def test_a_scan_slower_than_the_callers_time_gives_one_delivery(start, smtp: SmtpServer, step):
    client = await start(answer_seconds=0.3)
    smtp.hold.clear()
    assert (await post(client)).status_code == 503
    if step == "after it":
        assert (await post(client)).status_code == 503
    smtp.hold.set()
    async with asyncio.timeout(60):
        while (answer := await post(client)).status_code != 200:
            pass
    assert answer.json() == {"verdict": "accepted", "queue_id": "4XyZ0001", "duplicate": True}
    assert (len(smtp.delivered), smtp.connections) == (1, 1)


async def test_a_refusal_after_the_callers_time_is_told_to_the_retry_without_a_second_scan(
    start, smtp: SmtpServer
):
    client = await start(answer_seconds=0.3)
    smtp.answers["message"] = "554 5.7.1 virus"
    smtp.hold.clear()
    assert (await post(client)).status_code == 503
    smtp.hold.set()
    async with asyncio.timeout(60):
        while (answer := await post(client)).status_code == 503:
            pass
    assert (answer.status_code, "virus" in answer.json()["detail"], smtp.held) == (422, True, 1)
    smtp.answers.clear()
    assert (await post(client)).status_code == 422


async def test_a_refusal_in_time_is_not_remembered_so_a_mailbox_made_meanwhile_gets_the_retry(
    api, smtp: SmtpServer
):
    smtp.answers["rcpt"] = "550 5.1.1 unknown"
    assert (await post(api)).status_code == 404
    smtp.answers.clear()
    assert (await post(api)).status_code == 200


async def test_a_second_submission_after_an_unknown_outcome_has_the_same_key(api, smtp: SmtpServer):
    smtp.answers["message"] = "lost"
    assert (await post(api)).status_code == 503
    smtp.answers.clear()
    assert (await post(api)).status_code == 200
    first, second = smtp.delivered
    assert first.key == second.key


@pytest.mark.parametrize("damage", ["no database", "torn pages"])
async def test_a_damaged_ledger_is_set_aside_with_an_alarm_and_mail_goes_on(
    start, settings: Settings, smtp: SmtpServer, damage, caplog
):
    path = settings.state_dir / "outcomes.db"
    async with running(settings) as client:
        assert (await post(client)).status_code == 200
    content = path.read_bytes()
    spoiled = b"this is no database " * 500 if damage == "no database" else content[:100] + b"\xff" * 9000
    path.write_bytes(spoiled)
    client = await start()
    assert (await post(client, MAIL + b"another")).status_code == 200
    assert (await post(client, MAIL + b"another")).json()["duplicate"] is True
    assert path.with_suffix(".damaged").read_bytes()[:5000] == spoiled[:5000]
    assert 'ledger_errors_total{kind="damaged"} 1.0' in (await client.get("/metrics")).text
    assert [record.levelname for record in caplog.records if record.getMessage() == "ledger"] == ["ERROR"]


async def test_a_full_disk_under_the_ledger_stops_no_mail_and_is_counted(api, smtp: SmtpServer, monkeypatch):
    def small(self: FileStore) -> sqlite3.Connection:
        db = original(self)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages}")
        return db

    original = FileStore.open
    monkeypatch.setattr(FileStore, "open", small)
    statuses = [(await post(api, MAIL + b"%d" % number)).status_code for number in range(60)]
    assert set(statuses) == {200}
    assert 'ledger_errors_total{kind="unusable"} 0.0' not in (await api.get("/metrics")).text


async def test_outcomes_that_come_together_share_a_commit(tmp_path, monkeypatch):
    ledger, commits = Ledger(FileStore(tmp_path / "outcomes.db"), 100, Metrics().ledger_errors), []
    insert = Ledger._insert
    monkeypatch.setattr(
        Ledger, "_insert", lambda self, work, rows: (commits.append(len(rows)), insert(self, work, rows))[1]
    )
    accepted = Outcome(Verdict.ACCEPTED, None, "Q1")
    await asyncio.gather(*(ledger.record(str(number), accepted) for number in range(50)))
    assert sum(commits) == 50 and len(commits) < 10
    assert all([await ledger.find(str(number)) for number in range(50)])
    await ledger.close()


async def test_a_full_disk_under_the_spool_is_temporary_and_nothing_is_submitted(
    api, smtp: SmtpServer, monkeypatch
):
    def full(_: Spool, memory_bytes: int = 0) -> BinaryIO:
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(Spool, "open", full)
    response = await post(api)
    assert (response.status_code, smtp.connections) == (503, 0)
    assert "No space left" in response.json()["detail"]


async def test_a_message_is_forgotten_after_its_time_and_the_file_stays_small(tmp_path):
    now = 1_000_000.0
    ledger = Ledger(FileStore(tmp_path / "outcomes.db"), 100, Metrics().ledger_errors, lambda: now)
    assert await ledger.find("a") is None
    await ledger.record("a", Outcome(Verdict.ACCEPTED, None, "Q1"))
    assert (await ledger.find("a")).queue_id == "Q1"
    now += 4000
    assert await ledger.find("a") is None
    await ledger.record("b", Outcome(Verdict.ACCEPTED, None, "Q2"))
    await ledger.close()
    with closing(sqlite3.connect(tmp_path / "outcomes.db")) as written:
        keys = written.execute("SELECT key FROM outcomes").fetchall()
    assert keys == [("b",)]


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
