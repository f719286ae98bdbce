"""How tests start the application and call it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from mailserver_api.app import create_app
from mailserver_api.settings import Settings

TOKEN = "token-number-one-of-all-the-tests"  # noqa: S105
MAIL = b"From: a@sender.example\r\nTo: b@here.example\r\nSubject: hi\r\n\r\nhello\r\n"


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


async def post(
    client: httpx.AsyncClient,
    content: Any = MAIL,
    sender: str = "a@sender.example",
    to: str = "b@here.example",
    **headers: str,
) -> httpx.Response:
    """Post a message; keyword arguments are further headers."""
    envelope = {"X-Envelope-From": sender, "X-Envelope-To": to, **headers}
    return await client.post("/v1/messages", content=content, headers=envelope)
