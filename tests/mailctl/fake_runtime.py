"""A runtime whose containers are lines of a file, which outlive a process that is killed at any step."""

import hashlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mailctl.canaries import Canary
from mailctl.core.context import Context
from mailctl.core.engine import ContainerState
from mailctl.core.errors import Problem, Refused
from mailctl.core.output import Output
from mailctl.core.runtime import Broken, Service
from mailctl.core.schema import Schema
from mailctl.deploy.host import Host
from mailctl.deploy.records import Journal, Records
from mailctl.deploy.tree import Tree

# What is in the queue and what on hold; whether what comes in is put there (`frozen`), which Postfix can do
# if it `knows` the table; what was free to go out by a version that was being tried.
QUEUE: dict[str, Any] = {"queue": [], "held": ["by-hand"], "frozen": False, "knows": True, "escaped": []}
NAMES = ("mariadb", "postfix", "usermgmt")
MAIL = ("mariadb", "postfix")
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")


class World:
    """The host: a repository with commits, and what the engine has on its disk."""

    def __init__(self, root: Path) -> None:
        self.root, self.repo, self.ssd = root, root / "repo", root / "ssd"
        self.repo.mkdir(parents=True)
        (self.repo / "answers.yml").touch()
        self.ssd.mkdir()
        (root / "hdd" / "mailboxes").mkdir(parents=True)
        self.git("init", "-q")
        self.commits: list[str] = []
        self.store({"containers": {}, "images": {}, "next": 1, "schema": None, "asked": [], **QUEUE})
        #: Volumes that a commit puts elsewhere.
        self.moved = dict[str, tuple[str, str]]()

    def git(self, *words: str) -> str:
        return subprocess.run(
            [*GIT, *words], cwd=self.repo, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, **services: str) -> str:
        """A commit whose services have these contents: of their file, and of what they are built from."""
        (self.repo / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
        (self.repo / ".gitignore").write_text(".env\nsecrets\n")
        if not (self.repo / "Makefile").exists():
            (self.repo / "Makefile").write_text("deploy verify:\n\t@true\n")
        for name in NAMES:
            content = services.get(name)
            for path in (self.repo / "config" / name / "main.cf", self.repo / name / "Dockerfile"):
                path.parent.mkdir(parents=True, exist_ok=True)
                if content is None:
                    path.unlink(missing_ok=True)
                else:
                    path.write_text(content if "config" in path.parts else content.partition("/")[0])
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        self.commits.append(self.git("rev-parse", "HEAD"))
        (self.repo / ".env").write_text(
            f"SSD_PATH={self.ssd}\nHDD_PATH={self.root}/hdd\nMAIL_DOMAIN=example.com\nADMIN_EMAIL=a@example.com\nWEBMAIL_HOST=mail.example.com\n"
        )
        return self.commits[-1]

    def store(self, state: dict[str, Any]) -> None:
        new = self.root / "engine.new"
        new.write_text(json.dumps(state))
        new.replace(self.root / "engine.json")

    def load(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "engine.json").read_text()))

    @property
    def frozen(self) -> bool:
        """Whether the table that Postfix reads when it starts holds mail."""
        return (self.ssd / "hold/postfix/header_checks").exists()

    def host(self, kill_at: int = 0) -> Host:
        """What a new process works with; it is killed at its step number `kill_at`."""
        context = Context(self.repo, Output(as_json=True), environ={})
        runtime = FakeRuntime(self, kill_at)
        records = MortalRecords(Records.of(context).folder, runtime)
        tree = MortalTree(self.repo, records.stage, runtime)
        schema = NoSchema(context, runtime, records.folder)
        return Host(context, runtime, tree, records, schema, runtime.canaries, lambda: {"known": {}})

    def runs(self) -> dict[str, str]:
        """What each running container is made of: what its image was built from, and the file it has read."""
        return {n: f"{c['image']} {c['read']}" for n, c in self.load()["containers"].items()}

    def described(self, commit: str) -> dict[str, str]:
        """The same, as a commit describes it."""
        found = {}
        for name in NAMES:
            shown = subprocess.run(
                [*GIT, "show", f"{commit}:config/{name}/main.cf"],
                cwd=self.repo,
                capture_output=True,
                text=True,
                check=False,
            )
            if shown.returncode == 0:
                found[name] = f"{_id(shown.stdout.partition('/')[0])} {shown.stdout}"
        return found


class FakeRuntime:
    """A service whose file says `broken` does not get healthy; one that says `lost` loses the canary."""

    def __init__(self, world: World, kill_at: int) -> None:
        self.world, self.kill_at, self.steps = world, kill_at, 0
        self.lock = threading.Lock()
        self.engine = SimpleNamespace(home=world.root / "engine")

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            os._exit(137)
        # A mail comes in; checkers run side by side.
        with self.lock:
            state = self.world.load()
            if state["containers"].get("postfix", {}).get("status") == "running":
                state["held" if state["frozen"] else "queue"].append(f"mail-{state['next']}")
                state["next"] += 1
                self.world.store(state)

    def services(self, tree: Path) -> dict[str, Service]:
        found = {}
        for name in NAMES:
            if (tree / "config" / name).is_dir() and (tree / "config" / name / "main.cf").exists():
                source, built = self.world.repo / "config" / name, self.world.repo / name
                follows = ("mariadb",) if name == "usermgmt" else ()
                found[name] = Service(
                    name, f"shop-mail-{name}", "same", ((source, "/etc/x"),), built, follows
                )
        return found

    def moved_volumes(self, _tree: Path) -> dict[str, tuple[str, str]]:
        return self.world.moved

    def running(self) -> dict[str, ContainerState]:
        return {name: _state(name, found) for name, found in self.world.load()["containers"].items()}

    def image(self, name: str) -> str | None:
        images = self.world.load()["images"]
        return images.get(name) or (name if name in images.values() else None)

    def fetch(self, tree: Path, names: Sequence[str]) -> None:
        raise AssertionError("every image is built here")

    def build(self, tree: Path, names: Sequence[str]) -> None:
        for name in names:
            self.step()
            self.keep(_id((tree / name / "Dockerfile").read_text()), f"shop-mail-{name}")

    def keep(self, image: str, name: str) -> None:
        self.step()
        state = self.world.load()
        state["images"][name] = image
        self.world.store(state)

    def kept(self, repository: str) -> list[str]:
        return [name for name in self.world.load()["images"] if name.startswith(f"{repository}:")]

    def forget(self, name: str) -> None:
        self.step()
        state = self.world.load()
        del state["images"][name]
        self.world.store(state)

    def wait(self, service: Service) -> None:
        pass

    def replace(self, service: Service) -> float:
        for half in ("stopped", "running"):
            self.step()
            state = self.world.load()
            if half == "running" and service.name == "postfix":
                state["frozen"] = self.world.frozen
            # What is not held goes out by what is about to be tried.
            if service.name in MAIL and state["containers"].keys() == set(NAMES):
                state["escaped"] += state["queue"]
            read = (service.files[0][0] / "main.cf").read_text()
            state["containers"][service.name] = {
                "id": f"{service.name}-{state['next']}",
                "status": half if half == "running" else "exited",
                "image": state["images"][service.image],
                "read": read,
            }
            state["next"] += 1
            self.world.store(state)
        self.step()
        if "broken" in read:
            raise Broken(service.name, "is not healthy", "its last words")
        return 1.5

    def remove(self, name: str) -> None:
        self.step()
        state = self.world.load()
        state["containers"].pop(name, None)
        self.world.store(state)

    def try_out(self, service: Service, script: str, options: Sequence[str]) -> tuple[int, str]:
        self.step()
        [mounted] = [found[1] for each in options if (found := re.search("source=(.*),target=/etc/x,", each))]
        text = (Path(mounted) / "main.cf").read_text()
        return (1, "postconf: fatal: bad line") if "refused" in text else (0, "")

    def job(self, tree: Path, service: str, words: Sequence[str], options: Sequence[str]) -> str:
        return self.inside(service, words)

    def inside(self, service: str, words: Sequence[str], stdin: str = "", limit: float = 60) -> str:
        self.step()
        state = self.world.load()
        match list(words):
            case ["find", *_]:
                return "\n".join(state["held"])
            case ["hold"] if not state["knows"]:
                raise Refused(Problem("docker exec", "hold: not found", "look"))
            case ["hold"] | ["sh", *_]:
                state["frozen"] = self.world.frozen
            case ["postsuper", "-h", "ALL"]:
                state["held"], state["queue"] = [*state["held"], *state["queue"]], []
            case ["postsuper", *ids] if "-H" in ids:
                state["queue"] += [id for id in state["held"] if id in ids]
                state["held"] = [id for id in state["held"] if id not in ids]
            case _:
                state["asked"].append([service, *words])
        self.world.store(state)
        self.step()
        return ""

    def log(self, name: str) -> str:
        return "its last words"

    def canaries(self, _past: dict[str, Any]) -> list[Canary]:
        self.step()
        lost = any("lost" in found["read"] for found in self.world.load()["containers"].values())
        return [Canary("mail", not lost, 0.1, "no answer" if lost else "arrived")]


class MortalRecords(Records):
    """Its process may die before and after each write."""

    def __init__(self, folder: Path, runtime: FakeRuntime) -> None:
        super().__init__(folder)
        self.runtime = runtime

    def write(self, journal: Journal) -> None:
        self.runtime.step()
        super().write(journal)
        self.runtime.step()

    def add(self, id: str, document: dict[str, Any]) -> None:
        super().add(id, document)
        self.runtime.step()


@dataclass(frozen=True)
class MortalTree(Tree):
    """Its process may die when the live tree is another one already, and half-way to it."""

    runtime: FakeRuntime

    def go(self, commit: str) -> None:
        self.runtime.step()
        super().go(commit)
        self.runtime.step()


class NoSchema(Schema):
    """Tables that nobody can ask."""

    def now(self) -> str | None:
        return None


def _state(name: str, found: dict[str, str]) -> ContainerState:
    healthy = "healthy" if "broken" not in found["read"] else "unhealthy"
    return ContainerState(
        id=found["id"],
        service=name,
        name=f"shop-mail-{name}-1",
        image=f"shop-mail-{name}",
        status=found["status"],
        health=healthy if found["status"] == "running" else None,
        exit_code=0,
        restarts=0,
        started_at=None,
        memory_limit=0,
        ports=(),
        published=(),
        health_output="",
        restart_policy="unless-stopped",
        image_id=found["image"],
        settings="same",
    )


def _id(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:12]}"
