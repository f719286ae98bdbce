"""What is refused before postfix hears of it: size, number, tokens, calls to the wrong place."""

import asyncio

import pytest
from calls import MAIL, TOKEN, post
from smtp_server import SmtpServer

from mailserver_api.settings import Settings, SettingsError

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
    client = await start(total_timeout=0.2)

    async def stuck():
        yield b"x"
        await asyncio.Event().wait()

    response = await post(client, stuck())
    assert (response.status_code, smtp.connections) == (503, 0)


async def test_messages_beyond_the_limit_are_told_to_come_later(start, smtp: SmtpServer):
    client = await start(max_concurrent_messages=2)
    smtp.hold.clear()
    running = [asyncio.create_task(post(client, MAIL + b"%d" % number)) for number in range(2)]
    async with asyncio.timeout(3):
        while smtp.connections < 2:
            await asyncio.wait(running, timeout=0.01)
    response = await post(client, MAIL + b"third")
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    smtp.hold.set()
    assert [answer.status_code for answer in await asyncio.gather(*running)] == [200, 200]
    assert (await post(client, MAIL + b"third")).status_code == 200


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
    second = "token-number-two-of-the-tests"
    settings.tokens_file.write_text(f"{TOKEN}\n{second}\n")
    for token in (TOKEN, second):
        assert (await post(api, Authorization=f"Bearer {token}")).status_code == 200
    settings.tokens_file.write_text(second)
    assert (await post(api)).status_code == 401
    assert (await post(api, Authorization=f"bearer {second}")).status_code == 200


@pytest.mark.parametrize(
    "content", ["", "\n \n", "short", "a" * 20 + "\n" + "b" * 20 + "\n" + "c" * 20, "naïve" * 9]
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


@pytest.mark.parametrize("path", ["/", "/v1/message", "/v1/messages/", "/docs", "/openapi.json", "/redoc"])
async def test_a_wrong_path_is_never_404_which_would_bounce_mail(api, path):
    for method in ("GET", "POST"):
        response = await api.request(method, path)
        assert (response.status_code, response.json()["verdict"]) == (400, "malformed")


async def test_a_wrong_method_is_told_so(api):
    assert (await api.get("/v1/messages")).status_code == 405


@pytest.mark.parametrize(
    ("name", "value"), [("SMTP_PORT", "0"), ("SMTP_PORT", "smtp"), ("MAX_MESSAGE_BYTES", "25M")]
)
def test_a_bad_variable_is_refused_by_name_value_and_fix(name, value):
    with pytest.raises(SettingsError, match=rf"{name}: '{value}' is not accepted; use a whole number"):
        Settings.from_environment({name: value})


def test_empty_variables_take_the_defaults():
    settings = Settings.from_environment({"SMTP_PORT": "", "SMTP_HOST": "", "SMTP_CA_FILE": ""})
    assert (settings.smtp_host, settings.smtp_port, settings.smtp_ca_file) == ("postfix", 25, None)
