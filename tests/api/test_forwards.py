"""Where a mail is forwarded: named by the filter alone, remembered with the mail, handed to one at a time."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from calls import post
from smtp_server import Delivered, SmtpServer

from mailserver_api.settings import Settings

OLD, TWO = "old@elsewhere.example", "two@elsewhere.example"
#: The client of these tests has this address, and so has their filter.
HERE = "127.0.0.1"
CAN = {"X-Can-Forward": "yes"}


@pytest.fixture
async def api(start: Callable[..., Any], smtp: SmtpServer) -> httpx.AsyncClient:
    """An API whose filter names two addresses for each mail."""
    client = await start(filter_host=HERE, forward_lease_seconds=60)

    async def judge(mail: Delivered) -> None:
        assert (await name(client, key=mail.key.decode())).status_code == 200

    smtp.judge = judge
    return client


async def name(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    """What rspamd says of a mail."""
    named = {"key": "a" * 64, "recipient": "b@here.example", "destinations": [OLD, TWO], **changes}
    return await client.post("/internal/forwards", json=named)


async def report(client: httpx.AsyncClient, key: str, destination: str, reason: str = "") -> None:
    document = {"key": key, "destination": destination, "reason": reason}
    assert (await client.post("/v1/forwards", json=document)).status_code == 200


async def failed(client: httpx.AsyncClient) -> dict[str, str]:
    return {
        each["destination"]: each["reason"] for each in (await client.get("/v1/forwards")).json()["failed"]
    }


async def test_what_the_filter_names_is_handed_to_who_can_forward(api: httpx.AsyncClient):
    forward = (await post(api, **CAN)).json()["forward"]
    assert forward["to"] == [OLD, TWO] and len(forward["key"]) == 64


async def test_while_one_forwards_another_call_waits_and_what_is_done_is_not_repeated(
    start: Callable[..., Any], api: httpx.AsyncClient, settings: Settings
):
    key = (await post(api, **CAN)).json()["forward"]["key"]
    again = await post(api, **CAN)
    assert (again.status_code, again.headers["X-Mail-Verdict"]) == (503, "temporary")
    await report(api, key, OLD)
    # A report that comes late, of an attempt before, changes nothing.
    await report(api, key, OLD, "not done within 2 s")
    later = await start(filter_host=HERE, forward_lease_seconds=0)
    assert (await post(later, **CAN)).json()["forward"]["to"] == [TWO]
    await report(later, key, TWO, "550 no such user")
    assert "forward" not in (await post(later, **CAN)).json()
    assert await failed(later) == {TWO: "550 no such user"}


async def test_who_cannot_forward_is_told_nothing_and_that_is_remembered_until_somebody_can(
    start: Callable[..., Any], api: httpx.AsyncClient
):
    assert "forward" not in (await post(api)).json()
    assert await failed(api) == {OLD: "spool", TWO: "spool"}
    assert (await post(api, **CAN)).json()["forward"]["to"] == [OLD, TWO]
    assert await failed(api) == {}


async def test_what_nobody_reported_is_told_in_time(
    start: Callable[..., Any], api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    await post(api, **CAN)
    assert await failed(api) == {}
    monkeypatch.setattr("mailserver_api.forwards.UNCONFIRMED_SECONDS", -1)
    assert await failed(api) == {OLD: "unconfirmed", TWO: "unconfirmed"}


async def test_a_loop_is_told_and_handed_to_nobody(api: httpx.AsyncClient, smtp: SmtpServer):
    async def judge(mail: Delivered) -> None:
        await name(api, key=mail.key.decode(), reason="loop")

    smtp.judge = judge
    assert "forward" not in (await post(api, **CAN)).json()
    assert await failed(api) == {OLD: "loop", TWO: "loop"}


async def test_mail_of_our_own_people_is_only_remembered(api: httpx.AsyncClient):
    assert (await name(api, key="4XyZ0001abc", reason="own")).status_code == 200
    assert await failed(api) == {OLD: "own", TWO: "own"}


async def test_nobody_names_addresses_but_the_filter_and_only_for_a_mail_that_runs(
    start: Callable[..., Any], api: httpx.AsyncClient
):
    assert (await name(api)).status_code == 404
    assert (await name(await start(filter_host="192.0.2.7"))).status_code == 401
    assert (await name(await start(filter_host=""))).status_code == 401
    outside = {"CF-Ray": "1"}
    assert (await api.post("/internal/forwards", json={}, headers=outside)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [{"key": "../x"}, {"destinations": []}, {"destinations": ["a b@c.example"]}, {"reason": "fun"}],
    ids=["key", "no destination", "no address", "reason"],
)
async def test_what_is_malformed_is_refused_with_its_field(api: httpx.AsyncClient, changes: dict[str, Any]):
    answer = await name(api, **changes)
    assert answer.status_code == 400 and answer.json()["field"].startswith(next(iter(changes)))


async def test_with_an_unusable_file_the_mail_is_forwarded_all_the_same(
    start: Callable[..., Any], smtp: SmtpServer, settings: Settings
):
    (settings.state_dir / "outcomes.db").mkdir(parents=True)
    client = await start(filter_host=HERE)

    async def judge(mail: Delivered) -> None:
        await name(client, key=mail.key.decode())

    smtp.judge = judge
    assert (await post(client, **CAN)).json()["forward"]["to"] == [OLD, TWO]


async def test_a_stranger_neither_reports_nor_reads(api: httpx.AsyncClient):
    wrong = {"Authorization": "Bearer wrong"}
    document = {"key": "a" * 64, "destination": OLD, "reason": ""}
    assert (await api.post("/v1/forwards", json=document, headers=wrong)).status_code == 401
    assert (await api.get("/v1/forwards", headers=wrong)).status_code == 401
