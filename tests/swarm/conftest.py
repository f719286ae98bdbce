"""Hosts for tests of several hosts: three engines in containers, once for all tests of this folder."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import PLATFORM
from tests.swarm import engines as made

sys.path.insert(0, str(PLATFORM / "mailctl" / "src"))

#: A set of hosts for each process of pytest-xdist.
PREFIX = f"{os.environ.get('STACK_PREFIX', 'stack')}-swarm{os.environ.get('PYTEST_XDIST_WORKER', '')}"


@pytest.fixture(scope="session")
def engines() -> Iterator[made.Engines]:
    """Three hosts that form a Swarm, labelled as nodes.yml says, and a registry that they reach."""
    made.build("standin/debian:trixie-slim")
    # A socket's path has 108 letters at most.
    with tempfile.TemporaryDirectory(prefix="sw-") as folder, made.running(PREFIX, Path(folder)) as found:
        found.label()
        yield found
