"""The bytes that arrive at postfix are the bytes that were posted."""

import io

import pytest
from calls import post
from hypothesis import given
from hypothesis import strategies as st
from smtp_server import SmtpServer

from mailserver_api.smtp import dot_stuffed

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
async def test_chunking_delivers_every_byte_as_it_was_posted(api, smtp: SmtpServer, body: bytes):
    assert (await post(api, HEAD + body)).status_code == 200
    [message] = smtp.delivered
    assert (message.way, message.content) == ("BDAT", HEAD + body)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_without_chunking_only_line_ends_change(api, smtp: SmtpServer, body: bytes):
    smtp.extensions = ("SIZE", "8BITMIME")
    assert (await post(api, HEAD + body)).status_code == 200
    [message] = smtp.delivered
    assert message.way == "DATA"
    assert message.content == _with_crlf(HEAD + body)
    assert not [line for line in smtp.commands if "evil" in line]


@given(st.lists(st.binary(max_size=9) | st.sampled_from([b"\r", b"\n", b".", b"\r\n.\r\n"]), max_size=12))
def test_dot_stuffing_is_undone_by_the_receiver_wherever_blocks_are_cut(blocks: list[bytes]):
    sent = b"".join(dot_stuffed(iter(blocks)))
    reader, received = io.BytesIO(sent), b""
    while (line := reader.readline()) != b".\r\n":
        assert line.endswith(b"\r\n") and line.count(b"\r") == 1
        received += line.removeprefix(b".")
    assert not reader.read(), "nothing follows the end of the message"
    assert received == _with_crlf(b"".join(blocks))


def _with_crlf(content: bytes) -> bytes:
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


async def test_8bit_content_is_announced_and_7bit_is_not(api, smtp: SmtpServer):
    await post(api, HEAD + "é".encode())
    await post(api, HEAD + b"e")
    announced = [line.endswith(" BODY=8BITMIME") for line in smtp.commands if line.startswith("MAIL")]
    assert announced == [True, False]


async def test_a_body_in_many_small_pieces_arrives_whole(api, smtp: SmtpServer):
    async def pieces():
        for number in range(3000):
            yield b"%d\r\n" % number

    assert (await post(api, pieces())).status_code == 200
    assert smtp.delivered[0].content == b"".join(b"%d\r\n" % number for number in range(3000))
