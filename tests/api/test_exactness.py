"""The bytes that arrive at postfix are the bytes that were posted."""

import re

import pytest
from calls import post
from smtp_server import EXTENSIONS, SmtpServer

HEAD = b"Subject: x\r\n\r\n"
BODIES = {
    "8-bit bytes": bytes(range(256)),
    "lone dots": b"a\r\n.\r\n..\r\n.b\r\n.\r\n",
    "no final newline": b"the end",
    "NUL bytes": b"a\0b\r\n\0",
    "bare LF": b"a\nb\n.\nc\n",
    "bare CR": b"a\rb\r",
    "mixed newlines": b"\n\r\n\r\r\n\n.\r\n",
    "an SMTP command": b"\r\n.\r\nMAIL FROM:<evil@sender.example>\r\nRSET\r\n",
    "a line of 100 kB": b"x" * 100_000,
    "Shift JIS": "日本語".encode("shift_jis"),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_every_byte_is_delivered_as_it_was_posted(api, smtp: SmtpServer, body: bytes):
    assert (await post(api, HEAD + body)).status_code == 200
    [message] = smtp.delivered
    assert message.content == HEAD + body


@pytest.mark.parametrize("missing", ["CHUNKING", "PIPELINING"])
async def test_without_what_our_postfix_offers_nothing_is_sent(api, smtp: SmtpServer, missing):
    smtp.extensions = tuple(name for name in EXTENSIONS if name != missing)
    response = await post(api)
    assert (response.status_code, smtp.delivered) == (503, [])
    assert f"{missing} is not offered" in response.json()["detail"]


async def test_8bit_content_is_announced_and_7bit_is_not(api, smtp: SmtpServer):
    await post(api, HEAD + "é".encode())
    await post(api, HEAD + b"e")
    announced = [line.endswith(" BODY=8BITMIME") for line in smtp.commands if line.startswith("MAIL")]
    assert announced == [True, False]


async def test_on_top_stands_one_line_with_the_key_of_the_message(api, smtp: SmtpServer):
    forged = b"X-Mailserver-Delivery: forged\r\n" + HEAD
    await post(api, forged)
    [message] = smtp.delivered
    assert re.fullmatch(rb"[0-9a-f]{64}", message.key)
    assert message.content == forged


async def test_a_body_in_many_small_pieces_arrives_whole(api, smtp: SmtpServer):
    async def pieces():
        for number in range(3000):
            yield b"%d\r\n" % number

    assert (await post(api, pieces())).status_code == 200
    assert smtp.delivered[0].content == b"".join(b"%d\r\n" % number for number in range(3000))
