"""Who tells what when another host leads the Swarm: the real monitor, real engines, alarms that arrive."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.places import PLATFORM
from tests.receiver import Receiver
from tests.stack.stack import eventually
from tests.swarm.engines import Engines, Host

pytestmark = pytest.mark.series("SWARM")
#: One run at a moment, of what this server without services can be asked.
MONITOR = """
import sys
from pathlib import Path
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.monitor import run
rows = [row for row in run.table() if row.id in ("engine", "host-down", "majority", "replicas")]
run.table = lambda: rows
run.once(Context(Path(sys.argv[1]), Output()), now=float(sys.argv[2]))
"""
#: Services of the stack: one that no host can run, and one that runs.
NEW = ("service", "create", "--detach", "--no-resolve-image", "--label", "com.docker.stack.namespace=whole")
SHORT = (*NEW, "--name", "whole_short", "--constraint", "node.labels.none==1", "image:1")
IMAGE = "standin/valkey:9-alpine"
OTHER = (*NEW, "--name", "whole_other", "--entrypoint", "sleep", "--constraint")
FEW, DOWN = "A service has fewer tasks than it should", "A host is down"


@dataclass
class Watched:
    """Hosts with a monitor each, which remembers on its own disk and sends to a receiver of its own."""

    folder: Path
    engines: Engines
    receivers: dict[str, Receiver]
    now: float = field(default_factory=time.time)

    def minutes(self, number: int, *hosts: Host) -> None:
        """Each of these hosts' timers, for so long; no time passes for the engines."""
        for _ in range(number):
            for host in hosts:
                own = self.folder / host.name
                env = {**os.environ, **host.env, "SSD_PATH": f"{own}", "SECRETS_DIR": f"{own}"}
                env["PYTHONPATH"] = str(PLATFORM / "mailctl" / "src")
                command = [sys.executable, "-c", MONITOR, str(self.folder / "repo"), str(self.now)]
                subprocess.run(command, env=env, check=True, timeout=120)
            self.now += 60

    def told(self, host: Host) -> list[str]:
        """What it has told since it was asked last."""
        said = sorted(self.receivers[host.name].subjects)
        self.receivers[host.name].got.clear()
        return said


@pytest.fixture
def watched(engines: Engines, tmp_path: Path) -> Iterator[Watched]:
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "docker-compose.yml").write_text("name: whole\nservices: {}\n")
    (repo / "nodes.yml").write_text(engines.inventory())
    (repo / ".env").touch(mode=0o600)
    with ExitStack() as over:
        receivers = {host.name: over.enter_context(Receiver()) for host in engines.hosts}
        for name, receiver in receivers.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "alarm_urls").write_text(f"{receiver.url}\n")
        yield Watched(tmp_path, engines, receivers)


def leader(hosts: list[Host]) -> Host | None:
    """The one that leads, if these can tell."""
    for host in hosts:
        form = "{{.ManagerStatus}} {{.Hostname}} {{.Status}}"
        lines = host.docker("node", "ls", "--format", form).splitlines()
        for name in (line.split()[1] for line in lines if line.startswith("Leader ")):
            return next((each for each in hosts if each.name == name), None)
    return None


def test_the_host_that_leads_next_tells_what_is_still_wrong_and_that_it_is_over_and_the_former_one_nothing(
    watched: Watched,
) -> None:
    hosts = watched.engines.hosts
    former = eventually(lambda: leader(hosts), limit=60)
    others = [host for host in hosts if host is not former]
    watched.engines.load((IMAGE,), *others)
    others[0].docker(*SHORT)
    others[0].docker(*OTHER, f"node.hostname!={former.name}", IMAGE, "1d")
    eventually(lambda: "1/1" in others[0].docker("service", "ls", "--filter", "name=whole_other"), limit=60)
    watched.minutes(5, *hosts)
    assert {host.name: watched.told(host) for host in hosts} == {
        former.name: [f"CRITICAL: {FEW}"],
        **{host.name: [] for host in others},
    }, "told once, by the one that leads"
    former.kill()
    new = eventually(lambda: leader(others), limit=60)
    third = next(host for host in others if host is not new)
    eventually(lambda: f"{former.name} Down" in nodes(new), limit=60)
    watched.minutes(5, *others)
    assert watched.told(new) == [f"CRITICAL: {DOWN}", f"CRITICAL: {FEW}"], (
        "what is still wrong, and what is new"
    )
    assert watched.told(third) == []
    new.docker("service", "rm", "whole_short")
    former.start()
    eventually(lambda: f"{former.name} Ready" in nodes(new), limit=120)
    watched.minutes(5, *hosts)
    assert watched.told(new) == [f"all clear: {DOWN}", f"all clear: {FEW}"]
    assert watched.told(third) == [] and watched.told(former) == [], "what it had told is no longer its own"
    new.docker("service", "rm", "whole_other")


def nodes(host: Host) -> str:
    return host.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}")
