"""A workflow may ask the host to look for what was merged, with a token that can do nothing else."""

from pathlib import Path

import pytest
from calls import TOKEN

from mailserver_api import hasten

OWN = {"Authorization": "Bearer a-token-that-asks-for-a-look-only"}


@pytest.fixture
async def asked(tmp_path: Path, start):
    """An application with a token for it; `asked` is what the host's unit waits for."""
    (tmp_path / "hasten").mkdir()
    token = tmp_path / "deploy_hook_token"
    token.write_text(OWN["Authorization"].split()[1] + "\n")
    client = await start(deploy_token_file=token, hasten_dir=tmp_path / "hasten")
    return client, tmp_path / "hasten/asked", token


async def test_the_token_has_the_host_look(asked):
    client, file, _ = asked
    response = await client.post("/v1/deploy", headers={**OWN, "CF-Ray": "8f2a-NRT"})
    assert (response.status_code, file.exists()) == (202, True)


@pytest.mark.parametrize("given", ["", "Bearer wrong", f"Bearer {TOKEN}"])
async def test_nobody_else_does_not_even_the_worker(asked, given):
    client, file, _ = asked
    response = await client.post("/v1/deploy", headers={"Authorization": given})
    assert (response.status_code, file.exists()) == (401, False)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/v1/messages"), ("GET", "/v1/monitor"), ("GET", "/v1/spool"), ("GET", "/metrics")],
)
async def test_the_token_opens_nothing_else(asked, method, path):
    client, _, _ = asked
    assert (await client.request(method, path, headers=OWN)).status_code == 401


@pytest.mark.parametrize("content", ["", "\n", None])
async def test_without_a_token_there_is_no_such_path_and_mail_is_not_bounced_by_it(asked, content):
    client, file, token = asked
    token.unlink() if content is None else token.write_text(content)
    response = await client.post("/v1/deploy", headers=OWN)
    assert (response.status_code, file.exists()) == (404, False)
    assert "X-Mail-Verdict" not in response.headers


async def test_a_token_that_cannot_be_valid_is_no_off_switch(asked):
    client, file, token = asked
    token.write_text("short")
    response = await client.post("/v1/deploy", headers=OWN)
    assert (response.status_code, file.exists()) == (503, False)


async def test_whoever_asks_again_at_once_is_told_when_to_come_back(asked, monkeypatch):
    client, file, _ = asked
    await client.post("/v1/deploy", headers=OWN)
    file.unlink()
    soon = await client.post("/v1/deploy", headers=OWN)
    assert (soon.status_code, "Retry-After" in soon.headers, file.exists()) == (429, True, False)
    monkeypatch.setattr(hasten, "EVERY_SECONDS", 0.0)
    assert (await client.post("/v1/deploy", headers=OWN)).status_code == 202


async def test_a_folder_that_is_not_there_is_said_and_can_be_asked_for_again(asked):
    client, file, _ = asked
    file.parent.rmdir()
    assert (await client.post("/v1/deploy", headers=OWN)).status_code == 503
    file.parent.mkdir()
    assert (await client.post("/v1/deploy", headers=OWN)).status_code == 202
