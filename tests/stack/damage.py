"""Damage done to a host as damage.yml has it, and what `mailctl verify` finds then."""

from __future__ import annotations

import json
import os
import random
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.stack.machine import Machine

TABLE = Path(__file__).with_name("damage.yml")
# One at a time all of it (make soak), or so many of them, chosen by SEED; what can be done together, always.
WHOLE = os.environ.get("HOST_DAMAGE") == "all"
SAMPLE = 4


@dataclass(frozen=True)
class Damage:
    """One kind: what does it and undoes it (shell on the host), and the test that finds it."""

    name: str
    found: str
    do: str
    undo: str
    alone: bool = False

    @classmethod
    def read(cls, row: dict[str, Any]) -> Damage:
        if "edit" not in row:
            return cls(row["damage"], row["found"], row["break"], row["repair"], row.get("alone", False))
        # Committed and deployed, as what no reviewer saw: git and the history have no word about it.
        service, _, words = row["reload"].partition(" ")
        reload = f"docker compose exec -T {service} {words}"
        commit = f"git -c user.name=x -c user.email=x@example.com commit -qm damage {row['file']}"
        do = [f"sed -i {shlex.quote(row['edit'])} {row['file']}", commit, _recorded("HEAD~1", "HEAD"), reload]
        undo = [_recorded("HEAD", "HEAD~1"), "git reset -q --hard HEAD~1", reload]
        return cls(row["damage"], row["found"], "\n".join(do), "\n".join(undo), alone=True)


def _recorded(one: str, other: str) -> str:
    """Say of one commit what the history of deployments says of another."""
    exchange = f"s/$(git rev-parse {one})/$(git rev-parse {other})/"
    return f"find $SSD/.mailctl/deploy -name '*.json' -exec sed -i \"{exchange}\" {{}} + 2>/dev/null || true"


ALL = [Damage.read(row) for row in yaml.safe_load(TABLE.read_text())]
CHOSEN = ALL if WHOLE else random.Random(int(os.environ.get("SEED", "11"))).sample(ALL, SAMPLE)  # noqa: S311
TOGETHER = [one for one in ALL if not one.alone]


@contextmanager
def done(machine: Machine, project: str, *damages: Damage) -> Iterator[None]:
    """Do the damage, and undo it in turn, the last one first, whatever happens."""
    places = f"PROJECT={project} SSD={machine.ssd} HDD={machine.hdd}"
    with ExitStack() as undo:
        for one in damages:
            undo.callback(machine.shell, f"{places}\n{one.undo}")
            machine.shell(f"{places}\n{one.do}")
        yield


def verify(machine: Machine, arguments: str = "") -> dict[str, Any]:
    """What `mailctl verify` says of the host."""
    said = machine.call(f".venv/bin/mailctl verify --json {arguments}").stdout
    assert said.startswith("{"), said
    return json.loads(said)


def failed(document: dict[str, Any]) -> dict[str, str]:
    """The tests that failed, by their names without `test_`, with their messages."""
    tests = [test for test in document["tests"] if test["outcome"] == "failed"]
    return {test["name"].rpartition("::test_")[2]: test["message"] for test in tests}
