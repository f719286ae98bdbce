"""What the relay forwards: mail of our own people, and mail out of the edge's spool; each copy once."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from calls import MAIL, TOKEN, post
from smtp_server import HANG, Delivered, SmtpServer
from test_forwards import HERE, OLD, TWO, failed, name

from mailserver_api.app import create_app
from mailserver_api.settings import Settings

MARK = b"X-Mailserver-Forwarded: "


@pytest.fixture
async def outside() -> AsyncIterator[SmtpServer]:
    """Postfix's listener for forwards."""
    async with SmtpServer(mark=MARK) as server:
        yield server


@pytest.fixture
async def api(start: Callable[..., Any], smtp: SmtpServer, outside: SmtpServer) -> httpx.AsyncClient:
    """An API that forwards by the relay, and whose filter names two addresses for each mail."""
    client = await start(filter_host=HERE, forward_port=outside.port)
    smtp.judge = lambda mail: names_two(client, mail)
    return client


async def names_two(client: httpx.AsyncClient, mail: Delivered) -> None:
    assert (await name(client, key=mail.key.decode())).status_code == 200


async def hand_over(client: httpx.AsyncClient, mail: bytes = MAIL, **changes: Any) -> httpx.Response:
    """What rspamd does with a mail of our own people."""
    named = {"key": "4XyZ0001abc", "recipient": "b+x@Here.example", "destinations": [OLD, TWO], **changes}
    body = json.dumps(named).encode() + b"\n" + mail
    return await client.post("/internal/forwards/mail", content=body)


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.005)


async def test_mail_out_of_the_spool_is_forwarded_once_in_the_name_of_its_recipient(
    api: httpx.AsyncClient, outside: SmtpServer
):
    for _ in range(2):
        answer = await post(api)
        assert answer.status_code == 200 and "forward" not in answer.json()
    copies = outside.delivered
    assert [(copy.mail.partition(" ")[0], copy.rcpt) for copy in copies] == [
        ("FROM:<b@here.example>", f"TO:<{OLD}>"),
        ("FROM:<b@here.example>", f"TO:<{TWO}>"),
    ]
    assert {(copy.key, copy.content) for copy in copies} == {(b"b@here.example", MAIL)}
    assert not any("NOTIFY" in command for command in outside.commands)
    assert await failed(api) == {}


async def test_what_the_worker_has_in_its_hands_is_still_its_to_forward(
    api: httpx.AsyncClient, outside: SmtpServer
):
    answer = await post(api, **{"X-Can-Forward": "yes"})
    assert answer.json()["forward"]["to"] == [OLD, TWO] and not outside.connections


async def test_what_postfix_does_not_take_is_told_and_not_tried_again(
    api: httpx.AsyncClient, outside: SmtpServer
):
    outside.answers["rcpt"] = "554 5.7.1 not listed"
    for _ in range(2):
        assert (await post(api)).status_code == 200
    assert set((await failed(api)).values()) == {"554 5.7.1 not listed (at rcpt)"}
    assert outside.connections == 2


async def test_a_report_with_the_null_sender_is_told_and_stays(api: httpx.AsyncClient, outside: SmtpServer):
    assert (await post(api, sender="")).status_code == 200
    assert await failed(api) == {OLD: "spool", TWO: "spool"} and not outside.connections


async def test_a_mail_that_is_refused_is_forwarded_nowhere(
    api: httpx.AsyncClient, smtp: SmtpServer, outside: SmtpServer
):
    smtp.answers["message"] = "554 5.7.1 spam"
    assert (await post(api)).status_code == 422
    assert not outside.connections


async def test_killed_between_the_acceptance_and_the_copies_the_next_drain_forwards_the_rest(
    start: Callable[..., Any], settings: Settings, smtp: SmtpServer, outside: SmtpServer
):
    dying = create_app(settings_with(settings, filter_host=HERE, forward_port=outside.port))
    transport = httpx.ASGITransport(dying)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    client = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)
    smtp.judge = lambda mail: names_two(client, mail)
    outside.hold.clear()
    call = asyncio.create_task(post(client))
    await until(lambda: outside.held == 1)
    # As a killed process: its tasks end here, and nothing is written any more.
    for task in [*dying.state.parts.delivery._running.values(), call]:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    outside.hold.set()
    await until(lambda: len(outside.delivered) == 1)
    second = await start(filter_host=HERE, forward_port=outside.port)
    assert (await post(second)).status_code == 503  # somebody may still be at work
    later = await start(filter_host=HERE, forward_port=outside.port, forward_lease_seconds=0)
    for _ in range(2):
        assert (await post(later)).json()["duplicate"]
    # The first was handed over and not written down: the one window in which a copy comes twice.
    assert [copy.rcpt for copy in outside.delivered] == [f"TO:<{each}>" for each in (OLD, OLD, TWO)]
    assert len(smtp.delivered) == 1 and await failed(later) == {}
    await client.aclose()
    await dying.state.parts.delivery.close(1)
    await dying.state.parts.relay.close(1)
    await dying.state.parts.ledger.close()


def settings_with(settings: Settings, **changes: Any) -> Settings:
    return Settings(**{**settings.__dict__, **changes})


async def test_mail_of_our_own_people_is_taken_at_once_and_forwarded_without_a_tag(
    api: httpx.AsyncClient, outside: SmtpServer
):
    outside.hold.clear()
    large = MAIL + b"x" * 300_000
    assert (await hand_over(api, large)).status_code == 200
    assert not outside.delivered
    outside.hold.set()
    await until(lambda: len(outside.delivered) == 2)
    copy = outside.delivered[0]
    assert copy.mail.startswith("FROM:<b@here.example>") and copy.rcpt == f"TO:<{OLD}>"
    assert (copy.key, copy.content) == (b"b+x@Here.example", large)
    assert await failed(api) == {}


async def test_a_mail_of_our_own_people_that_fails_is_told(api: httpx.AsyncClient, outside: SmtpServer):
    outside.answers["mail"] = "451 4.3.0 later"
    assert (await hand_over(api)).status_code == 200
    await until(lambda: outside.commands.count("QUIT") == 2)
    async with asyncio.timeout(10):
        while set((await failed(api)).values()) != {"451 4.3.0 later (at mail)"}:
            await asyncio.sleep(0.005)


async def test_the_end_waits_for_what_is_being_forwarded(
    start: Callable[..., Any], settings: Settings, outside: SmtpServer
):
    outside.hold.clear()
    app = create_app(settings_with(settings, filter_host=HERE, forward_port=outside.port))
    async with app.router.lifespan_context(app):
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api")
        async with client:
            assert (await hand_over(client, destinations=[OLD])).status_code == 200
        await until(lambda: outside.held == 1)
        asyncio.get_running_loop().call_later(0.05, outside.hold.set)
    assert len(outside.delivered) == 1


async def test_with_an_unusable_file_all_is_forwarded_the_same_and_nothing_twice(
    start: Callable[..., Any],
    settings: Settings,
    smtp: SmtpServer,
    outside: SmtpServer,
    caplog: pytest.LogCaptureFixture,
):
    (settings.state_dir / "outcomes.db").mkdir(parents=True)
    client = await start(filter_host=HERE, forward_port=outside.port)
    smtp.judge = lambda mail: names_two(client, mail)
    assert (await post(client)).status_code == 200
    assert (await hand_over(client, destinations=[OLD])).status_code == 200
    await until(lambda: len(outside.delivered) == 3)
    said = [record.fields for record in caplog.records if record.message == "forward"]
    assert said and all("cannot be written" in fields["error"] for fields in said)


async def test_nobody_hands_over_mail_but_the_filter_and_only_where_the_relay_forwards(
    start: Callable[..., Any], outside: SmtpServer
):
    assert (await hand_over(await start(filter_host=HERE))).status_code == 400
    stranger = await start(filter_host="192.0.2.7", forward_port=outside.port)
    assert (await hand_over(stranger)).status_code == 401
    assert not outside.connections


@pytest.mark.parametrize(
    ("changes", "mail", "status"),
    [
        ({"destinations": []}, MAIL, 400),
        ({"key": "../x"}, MAIL, 400),
        ({}, b"", 400),
        ({"recipient": "b" * 70_000}, MAIL, 400),
    ],
    ids=["no destination", "key", "no mail", "an endless line"],
)
async def test_what_is_malformed_is_refused_and_forwarded_nowhere(
    api: httpx.AsyncClient, outside: SmtpServer, changes: dict[str, Any], mail: bytes, status: int
):
    assert (await hand_over(api, mail, **changes)).status_code == status
    assert not outside.connections


async def test_a_listener_that_is_silent_ends_in_time(start: Callable[..., Any], smtp: SmtpServer):
    async with SmtpServer(mark=MARK, answers={"connect": HANG}) as silent:
        client = await start(filter_host=HERE, forward_port=silent.port, connect_timeout=0.05)
        smtp.judge = lambda mail: names_two(client, mail)
        assert (await post(client)).status_code == 200
        assert all(why.startswith("TimeoutError") for why in (await failed(client)).values())
