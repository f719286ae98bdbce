"""What the tests of the edge share: miniflare, a mail server, the API before it, and the Worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.edge import Api, Postfix, install, postfix


@pytest.fixture(scope="session")
def program(tmp_path_factory) -> Path:
    """The folder in which the Worker's runtime is."""
    return install(tmp_path_factory.mktemp("miniflare"))


@pytest.fixture
def server() -> Iterator[Postfix]:
    with postfix() as running:
        yield running


@pytest.fixture
def api(tmp_path, server) -> Iterator[Api]:
    """mailserver-api, which is off at first."""
    (tmp_path / "api").mkdir()
    service = Api(tmp_path / "api", server.smtp)
    yield service
    service.stop()
