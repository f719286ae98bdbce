"""The one mail that is deferred on purpose: once, and only with a mark of a token's holder."""

import hashlib
import hmac
import sqlite3
import time
from contextlib import closing

import pytest
from calls import TOKEN, post, running
from smtp_server import SmtpServer

from mailserver_api.settings import Settings

NONCE = "0123456789ab"


def marked(token: str = TOKEN, nonce: str = NONCE) -> str:
    """The address as mailctl writes it."""
    key = hashlib.sha256(token.encode()).digest()
    mark = hmac.new(key, f"retry-{nonce}".encode(), "sha256").hexdigest()[:24]
    return f"mailctl-probe+retry-{nonce}-{mark}@here.example"


async def test_the_first_attempt_is_deferred_and_the_second_is_delivered(api, smtp: SmtpServer):
    first, second = await post(api, to=marked()), await post(api, to=marked())
    assert (first.status_code, first.headers["X-Mail-Verdict"]) == (503, "temporary")
    assert (second.status_code, len(smtp.delivered)) == (200, 1)


async def test_the_attempt_is_remembered_over_a_restart_with_its_time(settings: Settings, smtp: SmtpServer):
    for status in (503, 200):
        async with running(settings) as client:
            assert (await post(client, to=marked())).status_code == status
    with closing(sqlite3.connect(settings.state_dir / "outcomes.db")) as db:
        [(at,)] = db.execute("SELECT at FROM outcomes WHERE key = ?", (f"retry-{NONCE}",))
    assert time.time() - 60 < at <= time.time()


@pytest.mark.parametrize(
    "address",
    [
        marked("a-token-that-nobody-has-given-out-0"),
        marked().replace(NONCE, "ba9876543210"),
        marked().replace("mailctl-probe", "somebody"),
        f"mailctl-probe+retry-{NONCE}-@here.example",
        "mailctl-probe@here.example",
    ],
)
async def test_any_other_address_is_delivered_at_once(api, smtp: SmtpServer, address):
    assert (await post(api, to=address)).status_code == 200
    assert len(smtp.delivered) == 1
