"""What is refused before postfix hears of it: size, number, tokens, calls to the wrong place."""

import asyncio
import re

import pytest
from calls import MAIL, TOKEN, post
from smtp_server import SmtpServer

from mailserver_api.settings import Settings, SettingsError
from tests.places import REPOSITORY

LIMIT = 4096


async def _pieces(size: int):
    for start in range(0, size, 1000):
        yield b"x" * min(1000, size - start)


async def test_an_announced_size_above_the_limit_is_refused_before_the_body_is_read(start):
    client = await start(max_message_bytes=LIMIT)
    asked = False

    async def body():
        nonlocal asked
        asked = True
        yield b"x"

    response = await post(client, body(), **{"Content-Length": str(LIMIT + 1)})
    assert (response.status_code, response.json()["limit"], asked) == (413, LIMIT, False)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413), (LIMIT * 50, 413)])
async def test_the_limit_holds_without_content_length(start, smtp: SmtpServer, size, status):
    client = await start(max_message_bytes=LIMIT)
    response = await post(client, _pieces(size))
    assert response.status_code == status
    assert len(smtp.delivered) == (status == 200)


@pytest.mark.parametrize(("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413)])
async def test_the_limit_holds_with_content_length(start, size, status):
    client = await start(max_message_bytes=LIMIT)
    assert (await post(client, b"x" * size)).status_code == status


async def test_an_empty_body_is_refused(api):
    assert (await post(api, b"")).status_code == 400


async def test_a_body_that_does_not_arrive_in_time_is_temporary(start, smtp: SmtpServer):
    client = await start(receive_seconds=0.3)

    async def stuck():
        yield b"x"
        await asyncio.Event().wait()

    response = await post(client, stuck())
    assert (response.status_code, smtp.delivered) == (503, [])


async def test_the_time_for_the_body_is_not_taken_from_the_time_for_the_answer(start, smtp: SmtpServer):
    client = await start(answer_seconds=1.5)

    async def slow():
        for _ in range(8):
            yield MAIL
            await asyncio.sleep(0.25)

    assert (await post(client, slow())).status_code == 200


async def test_a_large_message_has_more_time_as_its_scan_takes_longer(start, smtp: SmtpServer):
    client = await start(answer_seconds=0.3)
    smtp.hold.clear()
    large = asyncio.create_task(post(client, MAIL + b"x" * 4 * 1024 * 1024))
    await _until(lambda: smtp.held == 1)
    assert (await post(client)).status_code == 503
    smtp.hold.set()
    assert (await large).status_code == 200


async def _busy(client, smtp: SmtpServer, slots: int) -> list[asyncio.Task]:
    """As many posts as there are slots, all waiting for postfix's verdict."""
    smtp.hold.clear()
    running = [asyncio.create_task(post(client, MAIL + b"slot %d" % number)) for number in range(slots)]
    await _until(lambda: smtp.held == slots)
    return running


async def _until(look) -> None:
    async with asyncio.timeout(60):
        while not look():
            await asyncio.sleep(0.005)


async def test_a_burst_waits_for_slots_and_is_taken_in_order_of_arrival(start, smtp: SmtpServer):
    client = await start(max_concurrent_messages=2)
    first = await _busy(client, smtp, 2)
    waiting = []
    for number in range(48):
        waiting.append(asyncio.create_task(post(client, MAIL + b"%02d" % number)))
        await asyncio.sleep(0.002)
    smtp.hold.set()
    answers = await asyncio.gather(*first, *waiting)
    assert {answer.status_code for answer in answers} == {200}
    order = [int(mail.content[-2:]) for mail in smtp.delivered if b"slot" not in mail.content]
    # Two conversations at once may overtake each other, not more.
    assert all(abs(place - number) <= 2 for place, number in enumerate(order)), order
    assert smtp.connections == 2


async def test_a_message_without_a_slot_in_its_time_is_told_to_come_later(start, smtp: SmtpServer):
    client = await start(max_concurrent_messages=2, answer_seconds=1.0)
    running = await _busy(client, smtp, 2)
    response = await post(client, MAIL + b"third")
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    smtp.hold.set()
    await asyncio.gather(*running)
    assert (await post(client, MAIL + b"third")).status_code == 200


async def test_slow_bodies_take_no_slot_from_others(start, smtp: SmtpServer):
    client = await start(max_concurrent_messages=1)
    go_on = asyncio.Event()

    async def slow():
        yield MAIL
        await go_on.wait()
        yield b"the end"

    posts = [asyncio.create_task(post(client, slow(), sender=f"{n}@sender.example")) for n in range(3)]
    await asyncio.sleep(0.3)
    assert (await post(client)).status_code == 200
    go_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*posts)] == [200] * 3


@pytest.mark.parametrize("known", [True, False])
async def test_an_unknown_recipient_is_told_while_the_body_is_still_being_sent(
    start, smtp: SmtpServer, known
):
    client = await start(receive_seconds=3600, answer_seconds=1.0)
    smtp.answers["rcpt"] = "250 2.1.5 Ok" if known else "550 5.1.1 unknown"
    go_on = asyncio.Event()

    async def body():
        yield MAIL
        await go_on.wait()

    sending = asyncio.create_task(post(client, body()))
    if known:
        await _until(lambda: "RSET" in smtp.commands)
        go_on.set()
    assert (await sending).status_code == (200 if known else 404)


def test_the_slots_and_the_probe_fit_into_postfix_own_limit_for_one_client():
    master = (REPOSITORY / "config" / "postfix" / "master.cf").read_text()
    inbound = re.search(r"^(?:\S+:)?25\s+inet.*\n(?:\s.*\n|#.*\n)+", master, re.MULTILINE)[0]
    limit = int(re.search(r"smtpd_client_connection_count_limit=(\d+)", inbound)[1])
    main = (REPOSITORY / "config" / "postfix" / "main.cf").read_text()
    processes = int(re.search(r"^default_process_limit = (\d+)", main, re.MULTILINE)[1])
    assert Settings.max_concurrent_messages + 1 <= limit <= processes


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"Content-Encoding": "gzip"}, "Content-Encoding"),
        ({"Content-Encoding": "identity, br"}, "Content-Encoding"),
        ({"Content-Length": "66", "Transfer-Encoding": "chunked"}, "Content-Length"),
    ],
)
async def test_a_body_that_is_not_the_message_itself_is_refused(api, smtp: SmtpServer, headers, field):
    response = await post(api, **headers)
    assert (response.status_code, response.json()["field"], smtp.connections) == (400, field, 0)


async def test_identity_is_no_encoding(api):
    assert (await post(api, **{"Content-Encoding": "identity"})).status_code == 200


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Bearer wrong-token-wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN],
)
async def test_a_call_without_a_valid_token_is_refused(api, smtp: SmtpServer, header):
    response = await post(api, Authorization=header)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert smtp.connections == 0


async def test_two_tokens_are_valid_while_one_replaces_the_other(api, settings: Settings):
    second = "token-number-two-of-all-the-tests"
    settings.tokens_file.write_text(f"{TOKEN}\n{second}\n")
    for token in (TOKEN, second):
        assert (await post(api, Authorization=f"Bearer {token}")).status_code == 200
    settings.tokens_file.write_text(second)
    assert (await post(api)).status_code == 401
    assert (await post(api, Authorization=f"bearer {second}")).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n \n",
        "x" * 31,
        "a" * 40 + "\n" + "b" * 31,
        "a" * 40 + "\n" + "b" * 40 + "\n" + "c" * 40,
        "naïve" * 9,
    ],
)
async def test_a_tokens_file_without_valid_tokens_lets_nobody_in(api, settings: Settings, content):
    settings.tokens_file.write_text(content)
    token = content.strip().split("\n")[0].encode()
    response = await post(api, Authorization=b"Bearer " + token)
    assert response.status_code == 503
    assert (await api.get("/metrics")).status_code == 503


async def test_a_missing_tokens_file_lets_nobody_in_and_one_that_appears_heals_it(api, settings: Settings):
    settings.tokens_file.unlink()
    assert (await post(api)).status_code == 503
    settings.tokens_file.write_text(TOKEN)
    assert (await post(api)).status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1/message", "/v1/messages/", "/docs", "/redoc"])
async def test_a_wrong_path_is_never_404_which_would_bounce_mail(api, path):
    for method in ("GET", "POST"):
        response = await api.request(method, path)
        assert (response.status_code, response.json()["verdict"]) == (400, "malformed")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/openapi.json"])
async def test_through_the_tunnel_there_are_only_messages(api, path):
    assert (await api.get(path)).status_code == 200
    response = await api.get(path, headers={"CF-Ray": "8f2a-NRT"})
    assert (response.status_code, response.json()["verdict"]) == (400, "malformed")
    assert (await post(api, **{"CF-Ray": "8f2a-NRT"})).status_code == 200


async def test_a_wrong_method_is_told_so(api):
    assert (await api.get("/v1/messages")).status_code == 405


@pytest.mark.parametrize(
    ("name", "value"),
    [("SMTP_PORT", "0"), ("SMTP_PORT", "smtp"), ("MAX_MESSAGE_BYTES", "25M"), ("ANSWER_SECONDS", "0")],
)
def test_a_bad_variable_is_refused_by_name_value_and_fix(name, value):
    with pytest.raises(SettingsError, match=rf"{name}: '{value}' is not accepted; use a whole number"):
        Settings.from_environment({name: value})


def test_empty_variables_take_the_defaults():
    settings = Settings.from_environment({"SMTP_PORT": "", "SMTP_HOST": "", "SMTP_CA_FILE": ""})
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_ca_file) == ("postfix", 25, None)
