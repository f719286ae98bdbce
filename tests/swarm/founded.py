"""Members of a database or of Valkey that run for a module of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.swarm.members import Database
from tools import engine, standins


@contextmanager
def founded(folder: Path, name: str, *more: Any) -> Iterator[Database]:
    """Members with the stand-ins, started for the first time, and gone afterwards; `more` is Database's."""
    engine.ensure(with_debootstrap=True)
    with standins.shown_progress() as progress:
        standins.build(progress)
    whole = Database(folder, f"{os.environ.get('STACK_PREFIX', 'swarm')}-{name}", *more)
    try:
        whole.start()
        yield whole
    finally:
        whole.remove()
