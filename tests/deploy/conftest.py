"""One host for all tests of deployments: it starts with nothing but a clone and its .env.

DEPLOY_LAB=folder keeps the host after the tests, and uses it again; without it all ends with them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.deploy.lab import Lab, opened
from tests.stack.conftest import FIRST_PORT, PREFIX, images
from tests.stack.stack import speaker

__all__ = ["images"]
HOST = ExitStack()


@pytest.fixture(scope="session")
def say(request):
    """Say something past pytest's capturing."""
    return speaker(request.config)


@pytest.fixture(scope="session")
def lab(images, tmp_path_factory) -> Lab:
    """The host after its first deployment, with a reader."""
    kept = os.environ.get("DEPLOY_LAB")
    folder = Path(kept).absolute() if kept else tmp_path_factory.mktemp("deploy")
    # The stacks of tests/stack may run beside it, on the ports before these.
    host = opened(f"{PREFIX}-target", folder, FIRST_PORT + 400, images.standins, keep=bool(kept))
    lab = HOST.enter_context(host)
    lab.begin()
    return lab


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """End the host once the last test of this folder has ended: its engine would go on beside all others."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        HOST.close()
