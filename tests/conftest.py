"""What all tests share: the tools of this environment, and which tests need a Docker engine."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# ruff, yamllint and the like of this environment, also for tests that look for them on PATH.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# A machine that is busy with other tests is slow, and nothing is wrong with that. The examples are the same
# in every run: what fails in CI fails here.
settings.register_profile(
    "busy", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

# Folders whose every test needs the engine (the marker is not repeated in each file).
NEED_DOCKER = {"deploy", "stack", "standins", "swarm", "workflows"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of those folders, so that `make test-fast` leaves them out; leave out long series."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in NEED_DOCKER:
            item.add_marker(pytest.mark.docker)
    longer = [item for item in items if _not_asked_for(item)]
    config.hook.pytest_deselected(items=longer)
    items[:] = [item for item in items if item not in longer]


def _not_asked_for(item: pytest.Item) -> bool:
    series = item.get_closest_marker("series")
    return bool(series and series.args) and not os.environ.get(series.args[0])


class OneStackOneProcess(LoadScopeScheduling):
    """Tests of one stack run in one process, so that it starts once; beside them all others, by file."""

    def _split_scope(self, nodeid: str) -> str:
        flavour = re.search(r"default answers, destroyed|default answers|antivirus off|tests/deploy/", nodeid)
        return flavour[0] if flavour else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneStackOneProcess | None:
    """Choose it for `--dist loadscope`; other ways to share tests stay as they are."""
    return OneStackOneProcess(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_sessionfinish() -> None:
    """Leave no container behind that is still being removed."""
    if used := sys.modules.get("tests.stack.stack"):
        used.discarded()
