"""Several replicas with one ledger in MariaDB: what one knows, all know, and each message is one's alone."""

import asyncio
import json
import os
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
import trustme
from calls import MAIL, post, running
from real_mariadb import MariaDb
from shared_file import SharedFile
from smtp_server import Delivered, SmtpServer
from test_forwards import CAN, HERE, OLD, TWO, failed, name, report
from test_process import Running, launched

from mailserver_api import delivery, ledger, stores
from mailserver_api.addresses import Envelope
from mailserver_api.fingerprint import Fingerprint
from mailserver_api.recall import recall
from mailserver_api.settings import Settings
from tests.ports import free_port

#: Mails of the test with kills; `make soak` sets more.
MAILS = int(os.environ.get("REPLICA_MAILS", "20"))


def key_of(content: bytes) -> str:
    """The key of a mail with the usual envelope."""
    fingerprint = Fingerprint(Envelope("a@sender.example", "b@here.example"))
    fingerprint.feed(content)
    return fingerprint.key()


@pytest.fixture
def in_mariadb(settings: Settings, database: MariaDb) -> Settings:
    """Settings of a replica; the tables are empty."""
    database.sql("USE ledger; DELETE FROM outcomes; DELETE FROM forwards; DELETE FROM reports")
    where = {"ledger_host": HERE, "ledger_port": database.port, "filter_host": HERE}
    account = {"ledger_password_file": database.password_file, "ledger_ca_file": database.authority}
    return replace(settings, **where, **account)


@pytest.fixture(params=["stand-in", pytest.param("MariaDB", marks=pytest.mark.mariadb)])
def shared(
    request: pytest.FixtureRequest, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The same, and a file that behaves alike, for where there is no MariaDB."""
    if request.param == "MariaDB":
        return request.getfixturevalue("in_mariadb")
    store = SharedFile(tmp_path / "shared.db")
    monkeypatch.setattr("mailserver_api.app.store_of", lambda _: store)
    return replace(settings, filter_host=HERE)


@pytest.fixture
async def replicas(shared: Settings, tmp_path: Path) -> AsyncIterator[list[httpx.AsyncClient]]:
    """Two applications that share nothing but the database and Postfix."""
    async with AsyncExitStack() as stack:
        clients = [running(shared, state_dir=tmp_path / str(number)) for number in range(2)]
        yield [await stack.enter_async_context(client) for client in clients]


Replicas = list[httpx.AsyncClient]
IN_MARIADB = pytest.mark.parametrize("shared", ["MariaDB"], indirect=True)


async def test_a_repeat_at_another_replica_is_told_the_first_outcome(replicas: Replicas, smtp: SmtpServer):
    first, second = [await post(replica) for replica in replicas]
    assert [first.json()["duplicate"], second.json()["duplicate"]] == [False, True]
    assert first.json()["queue_id"] == second.json()["queue_id"] and len(smtp.delivered) == 1


async def test_a_repeat_that_comes_while_the_first_still_runs_waits_for_it(
    replicas: Replicas, smtp: SmtpServer
):
    smtp.hold.clear()
    first = asyncio.create_task(post(replicas[0]))
    await asyncio.wait_for(smtp.waiting.wait(), 30)
    second = asyncio.create_task(post(replicas[1]))
    await asyncio.wait({second}, timeout=delivery.ELSEWHERE_SECONDS * 2)
    assert smtp.held == 1 and not second.done()
    smtp.hold.set()
    answers = [(await first).json(), (await second).json()]
    assert [each["duplicate"] for each in answers] == [False, True]
    assert len(smtp.delivered) == 1


async def test_a_repeat_waits_no_longer_than_its_caller(shared: Settings, smtp: SmtpServer):
    smtp.hold.clear()
    async with running(shared) as one, running(shared, answer_seconds=0.4) as other:
        first = asyncio.create_task(post(one))
        await asyncio.wait_for(smtp.waiting.wait(), 30)
        answer = await post(other)
        assert (answer.status_code, smtp.held) == (503, 1)
        smtp.hold.set()
        assert (await first).status_code == 200


async def test_after_a_refusal_in_time_the_repeat_is_submitted_by_the_other(
    replicas: Replicas, smtp: SmtpServer
):
    smtp.answers["rcpt"] = "550 5.1.1 unknown"
    assert (await post(replicas[0])).status_code == 404
    smtp.answers.clear()
    assert (await post(replicas[1])).json()["duplicate"] is False


async def test_what_the_filter_tells_the_other_replica_is_handed_out_once(
    replicas: Replicas, smtp: SmtpServer
):
    async def judge(mail: Delivered) -> None:
        assert (await name(replicas[1], key=mail.key.decode())).status_code == 200

    smtp.judge = judge
    forward = (await post(replicas[0], **CAN)).json()["forward"]
    assert sorted(forward["to"]) == [OLD, TWO]
    assert (await post(replicas[1], **CAN)).status_code == 503
    await report(replicas[1], forward["key"], OLD)
    await report(replicas[0], forward["key"], TWO, "550 no such user")
    assert await failed(replicas[1]) == {TWO: "550 no such user"}


async def test_what_was_named_for_an_attempt_that_failed_is_forgotten_by_the_next(
    replicas: Replicas, smtp: SmtpServer
):
    said: list[list[str]] = [[OLD, TWO], [TWO]]

    async def judge(mail: Delivered) -> None:
        await name(replicas[1], key=mail.key.decode(), destinations=said.pop(0))

    smtp.judge = judge
    smtp.answers["message"] = "451 4.7.1 later"
    assert (await post(replicas[0], **CAN)).status_code == 503
    assert await failed(replicas[0]) == {}
    smtp.answers.clear()
    assert (await post(replicas[0], **CAN)).json()["forward"]["to"] == [TWO]


async def test_a_loop_that_the_other_replica_hears_of_is_told_and_handed_to_nobody(
    replicas: Replicas, smtp: SmtpServer
):
    async def judge(mail: Delivered) -> None:
        await name(replicas[1], key=mail.key.decode(), reason="loop")

    smtp.judge = judge
    assert "forward" not in (await post(replicas[0], **CAN)).json()
    assert await failed(replicas[1]) == {OLD: "loop", TWO: "loop"}


async def test_the_report_on_the_spool_is_the_newest_whichever_replica_is_asked(replicas: Replicas):
    assert (await replicas[1].get("/v1/spool")).json()["at"] is None
    document = {"waiting": 3, "bytes": 10, "oldest": 1, "refused": []}
    for waiting, replica in enumerate(replicas):
        sent = await replica.post("/v1/spool", json={**document, "waiting": waiting})
        assert sent.status_code == 200
    assert (await replicas[0].get("/v1/spool")).json()["waiting"] == 1


@IN_MARIADB
async def test_while_the_database_is_down_callers_are_told_to_come_again_and_nothing_is_submitted(
    replicas: Replicas, smtp: SmtpServer, database: MariaDb
):
    assert (await post(replicas[0])).status_code == 200
    database.kill()
    try:
        assert (await post(replicas[0])).status_code == 503
        assert (await name(replicas[0])).status_code == 503
        sent = await replicas[0].post(
            "/v1/spool", json={"waiting": 0, "bytes": 0, "oldest": None, "refused": []}
        )
        assert (sent.status_code, (await replicas[0].get("/v1/spool")).status_code) == (503, 503)
        assert len(smtp.delivered) == 1
    finally:
        database.start()
    async with asyncio.timeout(60):
        while (answer := await post(replicas[1])).status_code != 200:
            pass
    assert answer.json()["duplicate"] is True and len(smtp.delivered) == 1


async def test_what_postfix_took_while_the_database_died_is_written_down_when_it_is_back(
    in_mariadb: Settings, smtp: SmtpServer, database: MariaDb, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(stores, "PAUSE_SECONDS", 0.0)
    smtp.hold.clear()
    async with running(in_mariadb) as client:
        first = asyncio.create_task(post(client))
        await asyncio.wait_for(smtp.waiting.wait(), 30)
        database.kill()
        try:
            smtp.hold.set()
            assert (await first).status_code == 503
            assert len(smtp.delivered) == 1
        finally:
            database.start()
        async with asyncio.timeout(60):
            while (answer := await post(client)).status_code != 200:
                pass
    assert answer.json()["duplicate"] is True and len(smtp.delivered) == 1


@IN_MARIADB
async def test_what_postfix_took_and_cannot_be_written_down_is_not_submitted_again(
    replicas: Replicas, smtp: SmtpServer, database: MariaDb
):
    database.sql("REVOKE INSERT ON ledger.outcomes FROM ledger@'%'")
    try:
        assert [(await post(replica)).status_code for replica in replicas[:1] * 3] == [503] * 3
        assert len(smtp.delivered) == 1
    finally:
        database.sql("GRANT INSERT ON ledger.outcomes TO ledger@'%'")
    assert (await post(replicas[0])).json()["duplicate"] is True
    assert (await post(replicas[1])).json()["duplicate"] is True and len(smtp.delivered) == 1


@IN_MARIADB
async def test_a_claim_outlives_a_lost_connection_while_the_mail_still_runs(
    replicas: Replicas, smtp: SmtpServer, database: MariaDb, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ledger, "BEAT_SECONDS", 0.05)
    smtp.hold.clear()
    first = asyncio.create_task(post(replicas[0]))
    await asyncio.wait_for(smtp.waiting.wait(), 30)
    key = key_of(MAIL)
    [[owner]] = database.sql(f"SELECT IS_USED_LOCK('{key}')")
    database.sql(f"KILL {owner}")
    async with asyncio.timeout(60):
        while database.sql(f"SELECT IS_USED_LOCK('{key}')") in ([[owner]], [["NULL"]]):
            await asyncio.sleep(0.05)
    smtp.hold.set()
    assert (await first).status_code == 200
    assert len(smtp.delivered) == 1


async def test_a_password_or_a_certificate_that_is_wrong_stops_mail_with_a_word_in_the_log(
    in_mariadb: Settings, smtp: SmtpServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password")
    trustme.CA().cert_pem.write_to_path(other := tmp_path / "other.crt")
    files = {"ledger_password_file": wrong}, {"ledger_password_file": tmp_path / "none"}
    for changes in (*files, {"ledger_ca_file": other}):
        async with running(in_mariadb, **changes) as client:
            assert (await post(client)).status_code == 503
    assert not smtp.delivered
    assert {record.levelname for record in caplog.records if record.getMessage() == "ledger"} == {"ERROR"}


FORBIDDEN = (
    "DROP TABLE outcomes",
    "CREATE TABLE x(y INT)",
    "UPDATE outcomes SET at = 0",
    "SELECT * FROM mysql.user",
    "SET GLOBAL read_only = 1",
)


def test_the_account_can_do_nothing_but_read_and_write_rows(database: MariaDb):
    connection = database.store().open()
    cursor = connection.cursor()
    cursor.execute("SHOW DATABASES")
    assert {row[0] for row in cursor.fetchall()} <= {"information_schema", "ledger"}
    for statement in FORBIDDEN:
        with pytest.raises(database.store().errors):
            cursor.execute(statement)
    connection.close()


async def until_taken(replicas: list[Running], content: bytes) -> str:
    """Send a mail to one replica after the other, until one says 200; the queue id."""
    while True:
        client = random.choice(replicas).client  # noqa: S311
        try:
            answer = await post(client, content)
        except httpx.TransportError:
            continue
        if answer.status_code == 200:
            return answer.json()["queue_id"]


async def test_replicas_that_are_killed_lose_nothing_and_double_only_what_was_under_way(
    in_mariadb: Settings, smtp: SmtpServer, database: MariaDb, tmp_path: Path
):
    where = {
        "LEDGER_HOST": HERE,
        "LEDGER_PORT": str(database.port),
        "LEDGER_CA_FILE": str(database.authority),
    }
    where["LEDGER_PASSWORD_FILE"] = str(database.password_file)
    taken: dict[bytes, str] = {}
    under_way = 0
    async with asyncio.timeout(300 + MAILS), AsyncExitStack() as stack:
        places = [replace(in_mariadb, state_dir=tmp_path / str(number)) for number in range(3)]
        replicas = [await stack.enter_async_context(launched(place, **where)) for place in places[:2]]
        for number in range(0, MAILS, 10):
            mails = [MAIL + b"%d" % each for each in range(number, number + 10)]
            smtp.waiting.clear()
            sending = [asyncio.create_task(until_taken(replicas, each)) for each in [*mails, *mails]]
            await smtp.waiting.wait()
            if number % 20:  # in the midst of it
                under_way += 10
                replicas[0].process.kill()
                await replicas[0].process.wait()
                replicas[0] = await stack.enter_async_context(launched(places[2], **where))
            ids = await asyncio.gather(*sending)
            for mail, one, other in zip(mails, ids[:10], ids[10:], strict=True):
                taken[mail] = one
                assert one == other or number % 20, "the repeat was told another outcome"
        for mail, queue_id in taken.items():
            for replica in replicas:
                answer = (await post(replica.client, mail)).json()
                assert answer["duplicate"] and (answer["queue_id"] == queue_id or under_way)
    count = Counter(mail.key for mail in smtp.delivered)
    assert {key_of(mail).encode() for mail in taken} == set(count)
    assert sum(count.values()) - len(count) <= under_way


@pytest.mark.parametrize("where", ["settings", pytest.param("in_mariadb", marks=pytest.mark.mariadb)])
async def test_mailctl_is_told_what_is_remembered_wherever_it_is(
    request: pytest.FixtureRequest, smtp: SmtpServer, where: str
):
    chosen: Settings = request.getfixturevalue(where)
    async with running(chosen) as client:
        queue_id = (await post(client)).json()["queue_id"]
    environment = {
        "STATE_DIR": str(chosen.state_dir),
        "LEDGER_HOST": chosen.ledger_host,
        "LEDGER_PORT": str(chosen.ledger_port),
        "LEDGER_CA_FILE": str(chosen.ledger_ca_file or ""),
        "LEDGER_PASSWORD_FILE": str(chosen.ledger_password_file),
    }
    for words in (("key", key_of(MAIL)), ("queue_id", queue_id)):
        [[verdict, code, text, at]] = json.loads(recall(environment, words))
        assert (verdict, code) == ("accepted", 250) and queue_id in text and at > 1_700_000_000
    assert json.loads(recall(environment, ("key", "other"))) == []
    with pytest.raises(ValueError, match="none of key, queue_id"):
        recall(environment, ("text", "x"))


@pytest.fixture
async def burnt(smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """The first of two addresses of Postfix, which lets every caller wait: its queue of callers is full."""
    loop = asyncio.get_running_loop()
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, smtp.port)) for host in ("127.0.0.2", HERE)]

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return found

    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.2", smtp.port), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(silent.getsockname())
        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
        yield


async def test_a_postfix_that_burnt_with_its_host_costs_a_second_and_no_refusal(
    burnt: None, start: Callable[..., Any], smtp: SmtpServer
):
    client = await start(smtp_host="postfix", connect_timeout=20.0)
    assert (await post(client)).status_code == 200
    assert len(smtp.delivered) == 1


async def test_a_database_that_nobody_runs_is_asked_once_a_second_and_stops_all_mail_meanwhile(
    start: Callable[..., Any], smtp: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stores, "PAUSE_SECONDS", 60.0)
    (tmp_path / "password").write_text("any-password")
    where = {"ledger_host": HERE, "ledger_port": free_port(), "ledger_password_file": tmp_path / "password"}
    client = await start(**where)
    connect, asked = pymysql.connect, []
    monkeypatch.setattr(pymysql, "connect", lambda **how: (asked.append(how["host"]), connect(**how))[1])
    assert {(await post(client)).status_code for _ in range(3)} == {503}
    assert asked == [HERE] and not smtp.delivered
    assert (await client.get("/v1/spool")).status_code == 503
