"""What deployments on several hosts leave behind: in the Swarm, so that whoever leads next knows it."""

import json
import time
from pathlib import Path
from typing import Any

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.folders import private
from mailctl.core.hosts import several
from mailctl.deploy.records import Journal, Point, Records
from mailctl.swarm import deploy, kept

#: Of a log, in a result that every manager keeps.
MOST_LETTERS = 20_000


class Shared(Records):
    """Lock and stage are this host's; history and what one can go back to are the Swarm's."""

    def __init__(self, folder: Path, stack: str) -> None:
        super().__init__(folder)
        self.stack = stack

    @classmethod
    def of(cls, context: Context) -> "Shared":
        return cls(Records.of(context).folder, context.project_name)

    def journal(self) -> Journal | None:
        """None: what broke off says the turn (swarm/kept.py)."""
        return None

    def left(self) -> dict[str, Any] | None:
        return kept.held(self.stack)

    def points(self) -> list[Point]:
        """What runs, if that is a commit: there is one to go back to."""
        commit, _ = deploy.deployed(self.stack)
        return [Point(commit)] if commit else []

    def history(self) -> list[dict[str, Any]]:
        return kept.results(self.stack)

    def add(self, id: str, document: dict[str, Any]) -> None:
        """Keep it in the Swarm; and here, for what this host's monitor tells."""
        log = str(document.get("log") or "")[-MOST_LETTERS:]
        whole = {"id": id, "host": kept.this_host(), **document, "log": log}
        super().add(id, whole)
        kept.keep(self.stack, {"at": time.time(), **whole})

    def canaries_word(self, held: dict[str, Any] | None) -> None:
        """What the canaries are let through by (core/hold.py), on the host that sends them."""
        path = private(self.folder) / "held.json"
        if held:
            files.write(path, json.dumps(held))
        else:
            path.unlink(missing_ok=True)


def records_of(context: Context) -> Records:
    """Where this server keeps what became of deployments."""
    return Shared.of(context) if several(context) else Records.of(context)
