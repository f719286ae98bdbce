"""Fixtures: a scripted SMTP server, an application that submits to it, and a client with a valid token."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from calls import TOKEN, running
from hypothesis import HealthCheck
from hypothesis import settings as examples
from real_mariadb import MariaDb, mariadb
from smtp_server import SmtpServer

from mailserver_api.settings import Settings

# A machine that is busy with other tests is slow, and nothing is wrong with that. The examples are the same
# in every run: what fails in CI fails here.
examples.register_profile(
    "busy", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("busy")

Start = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What asks for the database needs one on this machine."""
    for item in items:
        if "database" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.mariadb)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause of a busy machine makes no slow line of a mail that is there, which costs one more question."""
    monkeypatch.setattr("mailserver_api.routes.AT_ONCE_SECONDS", 1.0)


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
        # Longer than any pause of a busy machine; tests that wait for one of them to be over set their own.
        connect_timeout=30.0,
        receive_seconds=30.0,
        answer_seconds=30.0,
        submit_seconds=30.0,
        ready_cache_seconds=0.0,
    )


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


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    """A MariaDB with the ledger's tables."""
    with mariadb(tmp_path_factory.mktemp("db")) as server:
        yield server
