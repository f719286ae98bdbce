"""A repository with commits and the Swarm in memory that they are deployed to, for tests of several hosts."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fake_swarm import FakeSwarm
from fakes import FakeDocker

from mailctl.canaries import Canary
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.deploy import work
from mailctl.deploy.host import Host
from mailctl.deploy.shared import Shared
from mailctl.deploy.tree import Tree
from mailctl.swarm import kept

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
NODES = "".join(
    f"  - {{name: mail{n}, address: 10.0.0.{n}, database: {n}, shard: {'abc'[n - 1]}}}\n" for n in (1, 2, 3)
)


@dataclass
class Tables:
    """The accounts' tables: their revision, and what the image wants them to be."""

    revision: str | None = "1"
    known: tuple[str, ...] = ("1",)
    restored: list[Path] = field(default_factory=list)

    def now(self) -> str | None:
        return self.revision

    def wanted(self, _service: object) -> tuple[str, set[str]]:
        return self.known[-1], set(self.known)

    def refuse_contraction(self, *_: object) -> None:
        pass

    def copy(self, id: str) -> Path:
        return Path(id)

    def restore(self, folder: Path) -> None:
        self.restored.append(folder)


class World:
    """A repository with commits, and the Swarm that they are deployed to; `lost` are canaries that fail."""

    def __init__(self, root: Path, repo: Path, fake: FakeDocker, swarm: FakeSwarm) -> None:
        self.root, self.repo, self.fake, self.swarm = root, repo, fake, swarm
        self.tables, self.lost, self.number = Tables(), list[bool](), 0
        (root / "ssd").mkdir()
        (repo / "secrets").mkdir()
        (repo / "secrets" / "owner").write_text("secret")
        lines = (
            f"SWARM_REGISTRY=r:5000\nCOMPOSE_PROJECT_NAME=m\nSSD_PATH={root}/ssd\nAGENT_DIR={root}/agent\n"
        )
        (repo / ".env").write_text(lines)
        (repo / ".gitignore").write_text(".env\nsecrets\n")
        (repo / "nodes.yml").write_text(f"nodes:\n{NODES}")
        (repo / "Makefile").write_text("deploy verify:\n\t@true\n")
        self.git("init", "-q")
        self.first = self.commit()

    def git(self, *words: str) -> str:
        done = subprocess.run([*GIT, *words], cwd=self.repo, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    @property
    def stage(self) -> Path:
        return self.root / "ssd/.mailctl/deploy/stage"

    def commit(self) -> str:
        """A commit that changes a file of Postfix, and one of usermgmt."""
        self.number += 1
        for name in ("postfix", "usermgmt"):
            (self.repo / name).write_text(f"{name} {self.number}")
        self.git("add", "--all")
        self.git("commit", "-q", "-m", f"change {self.number}")
        self.describe()
        return self.git("rev-parse", "HEAD")

    def describe(self) -> None:
        """What compose makes of the commit that is looked at: it lies in the stage."""
        owner = {"mariadb_owner_password": {"name": "m_owner", "file": str(self.repo / "secrets/owner")}}
        only_read = {"read_only": True}
        services: dict[str, dict[str, Any]] = {
            name: {
                "image": name,
                "networks": {"mail": None, "data": None},
                "volumes": [
                    {"type": "bind", "source": str(self.stage / name), "target": "/etc/it"} | only_read,
                    {"type": "volume", "source": "hold_postfix", "target": "/run/hold/postfix"} | only_read,
                ],
                "secrets": [{"source": "mariadb_owner_password"}],
                "deploy": {"mode": "global"},
                "tmpfs": ["/run:mode=755"],
            }
            for name in ("postfix", "usermgmt")
        }
        services["usermgmt"]["depends_on"] = {"postfix": {"condition": "service_healthy"}}
        volumes = {name: {"name": f"m_{name}"} for name in ("hold_postfix", "hold_api")}
        networks = {name: {"name": f"m_{name}", "internal": True} for name in ("mail", "data")}
        merged = {
            "name": "m",
            "services": services,
            "networks": networks,
            "volumes": volumes,
            "secrets": owner,
        }
        self.fake.answer("config", json.dumps(merged))
        self.fake.answer("--hash", "postfix 1\nusermgmt 1\n")

    def host(self) -> Host:
        context = Context(self.repo, Output(as_json=True))
        shared = Shared.of(context)
        runtime: Any = SimpleNamespace(engine=None)
        tables: Any = self.tables
        return Host(
            context,
            runtime,
            Tree(self.repo, shared.stage),
            shared,
            tables,
            self.canaries,
            lambda: {"known": {}},
        )

    def canaries(self, _past: dict[str, Any]) -> list[Canary]:
        lost = self.lost.pop(0) if self.lost else False
        return [Canary("mail", not lost, 0.1, "no answer" if lost else "arrived")]

    def deploy(self, commit: str) -> dict[str, Any]:
        host = self.host()
        with host.records.locked("mailctl deploy"):
            return work.deploy(host, commit)

    def undo(self, commit: str) -> dict[str, Any]:
        host = self.host()
        with host.records.locked("mailctl deploy"):
            return work.undo(host, commit, "it was interrupted twice")

    def reads(self) -> set[str]:
        """Which configs the running services read."""
        specs = [each["Spec"]["TaskTemplate"]["ContainerSpec"] for each in self.swarm.services.values()]
        return {each["ConfigName"] for spec in specs for each in spec["Configs"]}

    @property
    def calm(self) -> bool:
        """Nobody's turn, nothing held, no job left."""
        jobs = [name for name in self.swarm.services if name not in ("m_postfix", "m_usermgmt")]
        return not jobs and kept.current("m") is None and kept.held("m") is None
