"""`mailctl canaries` on the running stack: all are well, and each wrong answer is seen by one of them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stack.clients import Accounts, Edge, Mailboxes, message
from tests.stack.stack import Stack, eventually, speaker

# mailctl of the generated repository: what a deployment calls before and after.
DRIVER = """
import json, sys
from pathlib import Path
from mailctl import canaries
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.core.stack import runtime, stack

asked, outer = json.load(sys.stdin), Context(Path.cwd(), Output(True))
with runtime(outer, True) as server:
    context = stack(outer, True)
    if asked is None:
        print(json.dumps(canaries.remember(context, server)))
    else:
        found = canaries.run(context, runtime=server, **asked)
        print(json.dumps([one.as_dict() for one in found]))
"""
OWN_DOMAIN = "mailctl-canary.test"
MAPS, DOVECOT = "config/postfix/sql", "config/dovecot/dovecot.conf"
SENDING = [
    *("mail", "alias", "catch-all", "unknown", "disabled", "quota", "relay"),
    *("login", "app-password", "sender", "signed", "known", "people"),
]


@dataclass(frozen=True)
class Canaries:
    """What mailctl says of the stack."""

    stack: Stack

    def call(self, asked: dict | None) -> object:
        done = subprocess.run(
            [".venv/bin/python", "-c", DRIVER],
            cwd=self.stack.repository,
            env={**os.environ, **self.stack.environment},
            input=json.dumps(asked),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def remember(self) -> dict:
        past = self.call(None)
        assert "missing" not in past, past
        return past

    def lost(self, past: dict, names: list[str] | None = None, limit: float = 3) -> dict[str, str]:
        """The canaries that do not come back, and what they say."""
        found = self.call({"names": names, "past": past, "limit": limit})
        assert found
        return {one["name"]: one["detail"] for one in found if not one["ok"]}


@pytest.fixture(scope="module")
def canaries(stack: Stack) -> Canaries:
    return Canaries(stack)


@pytest.fixture(scope="module")
def past(canaries: Canaries) -> dict:
    return canaries.remember()


@contextmanager
def changed(stack: Stack, file: str, old: str, new: str) -> Iterator[None]:
    """A configuration file says something else, and its service was started again."""
    path, service = stack.repository / file, Path(file).parts[1]
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        stack.docker("restart", service)
        stack.healthy(service)
        yield
    finally:
        path.write_text(before)
        stack.docker("restart", service)
        stack.healthy(service)


def test_all_are_well_and_done_within_ten_seconds(
    canaries: Canaries, past: dict, mailboxes: Mailboxes, request: pytest.FixtureRequest
) -> None:
    began = time.monotonic()
    found = canaries.call({"past": past, "limit": 30})
    seconds = time.monotonic() - began
    speaker(request.config)(f"canaries: all {len(found)} in {seconds:.1f} s")
    assert [one for one in found if not one["ok"]] == []
    assert "left out" not in json.dumps(found)
    assert seconds < 10 * float(os.environ.get("SLOW", "1"))
