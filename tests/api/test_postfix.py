"""On a real Postfix: what depends on how Postfix itself behaves. Needs its Debian package, and root."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from calls import MAIL, post, running
from real_postfix import Postfix

from mailserver_api.settings import Settings

pytestmark = pytest.mark.postfix


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def started() -> AsyncIterator[Postfix]:
    # Postfix's accounts must be able to enter it, so it is not one of pytest's own folders.
    with tempfile.TemporaryDirectory(prefix="postfix-") as folder:
        async with Postfix(Path(folder)) as postfix:
            yield postfix


@pytest.fixture
def postfix(started: Postfix) -> Postfix:
    started.forget()
    return started


@pytest.fixture
async def api(settings: Settings, postfix: Postfix) -> AsyncIterator[Callable[..., Any]]:
    there = replace(
        settings, smtp_port=postfix.port, answer_seconds=30.0, submit_seconds=60.0, connect_timeout=20.0
    )
    async with running(there) as client:
        yield client


def numbered(number: int) -> bytes:
    return b"Subject: %d\r\n" % number + MAIL


async def test_a_scan_slower_than_the_caller_gives_one_delivery_and_the_retry_is_told(settings, postfix):
    there = replace(settings, smtp_port=postfix.port, answer_seconds=0.5, submit_seconds=60.0)
    postfix.hold.clear()
    async with running(there) as client:
        assert [(await post(client)).status_code for _ in range(3)] == [503] * 3
        postfix.hold.set()
        answers = await _until_accepted(client)
    assert answers.json()["duplicate"] is True
    assert len(await postfix.delivered(1)) == 1 == postfix.filtered


async def _until_accepted(client: httpx.AsyncClient) -> httpx.Response:
    async with asyncio.timeout(60):
        while (answer := await post(client)).status_code != 200:
            assert answer.status_code == 503
    return answer


async def test_a_burst_of_50_is_taken_whole(api, postfix):
    answers = await asyncio.gather(*(post(api, numbered(number)) for number in range(50)))
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    assert len(await postfix.delivered(50)) == 50
    assert postfix.connections() <= 16


async def test_sessions_are_used_again_and_a_restart_of_postfix_is_not_noticed(api, postfix):
    for number in range(5):
        assert (await post(api, numbered(number))).status_code == 200
    assert postfix.connections() == 1
    await postfix.run("stop")
    assert (await post(api, numbered(5))).status_code == 503
    assert (await api.get("/ready")).status_code == 503
    await postfix.run("start")
    for number in range(5, 10):
        assert (await post(api, numbered(number))).status_code == 200
    assert len(await postfix.delivered(10)) == 10


async def test_the_message_is_in_the_mailbox_byte_for_byte_under_its_key(api, postfix):
    body = (
        b"line\r\n.\r\n..dots\r\n"
        + "Grüße".encode("latin-1")
        + bytes(range(128, 256))
        + b"y" * 900
        + b"\r\nend\r\n"
    )
    assert (await post(api, MAIL + body)).status_code == 200
    [mail] = await postfix.delivered(1)
    ours, _, rest = mail.partition(b"X-Mailserver-Delivery: ")
    assert b"Received: from mailserver-api.internal" in ours
    assert rest.partition(b"\n")[2] == (MAIL + body).replace(b"\r\n", b"\n")


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("b@here.example", 200),
        ("b@bücher.example", 200),
        ("b@xn--bcher-kva.example", 200),
        ("nobody@here.example", 404),
        ("b@elsewhere.example", 404),
        ('"b c"@here.example', 404),
        ("bé@here.example", 404),
    ],
    ids=ascii,
)
async def test_a_recipient_has_the_verdict_of_the_table(api, to, status):
    assert (await post(api, to=to.encode())).status_code == status


async def test_mail_of_every_odd_sender_is_taken(api, postfix):
    senders = [
        "",
        "<>",
        "root",
        "a@x.com.",
        '"john smith"@x.com',
        '"a\\"b"@x.com',
        "é@x.com",
        "a@é.example",
        "a@[1.2.3.4]",
        "-a@x.com",
        '"-a"@x.com',
        "a@1.2.3.4",
        "a@999",
    ]
    for sender in senders:
        assert (await post(api, sender=sender.encode())).status_code == 200, sender
    # The null senders are one message: their mail is the same in all else.
    assert len(await postfix.delivered(6)) == 6


async def test_a_message_above_postfix_own_limit_is_too_large(api, postfix):
    assert (await post(api, MAIL + b"x" * 300_000)).status_code == 413


async def test_an_unknown_recipient_is_told_before_the_body_is_complete(api):
    async def endless():
        yield MAIL
        await asyncio.Event().wait()

    assert (await post(api, endless(), to="nobody@here.example")).status_code == 404
