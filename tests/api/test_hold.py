"""While a deployment tries a version, all mail but its canaries' waits: 503, and the verdict `holding`."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from calls import post
from smtp_server import SmtpServer

from mailserver_api.settings import Settings

WORD = "the-canaries-word"
# Text that no digest is, and that cannot even be encoded.
UNUSABLE = '{"pass": "\\ud800"}'
HOLD = {"since": 1.0, "pass": hashlib.sha256(WORD.encode()).hexdigest()}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, hold_file=tmp_path / "hold.json")


def is_held(answer) -> bool:
    return (answer.status_code, answer.headers["X-Mail-Verdict"], answer.json()["verdict"]) == (
        503,
        "holding",
        "holding",
    )


async def test_without_a_file_mail_is_taken_as_ever(api):
    assert (await post(api)).status_code == 200


@pytest.mark.parametrize("word", [{}, {"X-Canary-Pass": ""}, {"X-Canary-Pass": "another"}])
async def test_while_mail_is_held_a_stranger_is_asked_to_come_again(api, settings, smtp: SmtpServer, word):
    settings.hold_file.write_text(json.dumps(HOLD))
    answer = await post(api, **word)
    assert is_held(answer) and answer.headers["Retry-After"] == "60"


async def test_while_mail_is_held_the_canaries_mail_is_taken(api, settings):
    settings.hold_file.write_text(json.dumps(HOLD))
    assert (await post(api, **{"X-Canary-Pass": WORD})).status_code == 200


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pass": null}', '{"pass": 1}', '"x"', UNUSABLE])
async def test_a_file_that_cannot_be_read_holds_for_everybody(api, settings, content):
    settings.hold_file.write_text(content)
    assert is_held(await post(api, **{"X-Canary-Pass": WORD}))


async def test_a_folder_in_the_files_place_holds_for_everybody(api, settings):
    settings.hold_file.mkdir()
    assert is_held(await post(api, **{"X-Canary-Pass": WORD}))


async def test_mail_is_taken_as_soon_as_the_file_is_gone(api, settings):
    settings.hold_file.write_text(json.dumps(HOLD))
    assert is_held(await post(api))
    settings.hold_file.unlink()
    assert (await post(api)).status_code == 200


async def test_who_has_no_token_does_not_hear_that_mail_is_held(api, settings):
    settings.hold_file.write_text(json.dumps(HOLD))
    assert (await post(api, Authorization="")).status_code == 401


async def test_the_words_digest_is_compared_in_constant_time(api, settings, monkeypatch):
    settings.hold_file.write_text(json.dumps(HOLD))
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(
        "mailserver_api.watch.hmac.compare_digest", lambda *both: compared.append(both) or True
    )
    assert (await post(api, **{"X-Canary-Pass": "x"})).status_code == 200
    assert (hashlib.sha256(b"x").hexdigest().encode(), HOLD["pass"].encode()) in compared
