"""Fixtures: a scripted SMTP server, an application that submits to it, and a client with a valid token."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from smtp_server import SmtpServer

from mailserver_api.app import create_app
from mailserver_api.settings import Settings

TOKEN = "token-number-one-of-the-tests"  # noqa: S105
MAIL = b"From: a@sender.example\r\nTo: b@here.example\r\nSubject: hi\r\n\r\nhello\r\n"
Start = Callable[..., Any]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def smtp() -> AsyncIterator[SmtpServer]:
    async with SmtpServer() as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, smtp: SmtpServer) -> Settings:
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    return Settings(
        tokens_file=tokens,
        state_dir=tmp_path / "state",
        smtp_host="127.0.0.1",
        smtp_port=smtp.port,
        connect_timeout=1.0,
        total_timeout=5.0,
        ready_cache_seconds=0.0,
    )


@asynccontextmanager
async def running(settings: Settings, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A started application and a client for it; the lifespan ends with the block."""
    app = create_app(replace(settings, **changes))
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client,
    ):
        yield client


@pytest.fixture
async def start(settings: Settings) -> AsyncIterator[Start]:
    """Start an application with changed settings."""
    async with AsyncExitStack() as stack:

        async def begin(**changes: Any) -> httpx.AsyncClient:
            return await stack.enter_async_context(running(settings, **changes))

        yield begin


@pytest.fixture
async def api(start: Start) -> httpx.AsyncClient:
    return await start()


async def post(
    client: httpx.AsyncClient,
    content: Any = MAIL,
    sender: str = "a@sender.example",
    to: str = "b@here.example",
    **headers: str,
) -> httpx.Response:
    envelope = {"X-Envelope-From": sender, "X-Envelope-To": to, **headers}
    return await client.post("/v1/messages", content=content, headers=envelope)
