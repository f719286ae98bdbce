"""What all tests share: which of them need a Docker engine."""

from __future__ import annotations

from pathlib import Path

import pytest

# Folders whose every test needs the engine (the marker is not repeated in each file).
NEED_DOCKER = {"stack", "standins"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of those folders, so that `make test-fast` leaves them out."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in NEED_DOCKER:
            item.add_marker(pytest.mark.docker)
