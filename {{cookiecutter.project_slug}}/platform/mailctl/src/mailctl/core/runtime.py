"""What runs the services: Docker Compose on one host."""

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailctl.core import containers, log_lines
from mailctl.core.compose import Compose, start_order
from mailctl.core.context import Context
from mailctl.core.engine import ContainerState, Engine
from mailctl.core.errors import Problem, Refused
from mailctl.core.log_lines import LogLine

POLL_SECONDS = 0.5
LOG_LINES = 40
# A container that the engine has had to start again so often does not recover by itself.
MAX_RESTARTS = 3
# Given to a container beyond what its healthcheck allows it, in seconds.
PATIENCE = 30.0


class Broken(Refused):
    """A service does not run as it should; `details` has the end of its log."""

    def __init__(self, service: str, wrong: str, log: str = "") -> None:
        problem = Problem(f"service {service}", wrong, "the end of its log stands above", next="make history")
        super().__init__(problem, details=log or None)
        self.service = service


@dataclass(frozen=True)
class Service:
    """A service as a tree of the repository describes it; `files` are what it mounts from the host."""

    name: str
    image: str
    settings: str
    files: tuple[tuple[Path, str], ...] = ()
    build: Path | None = None
    #: It must be started again after these were, as it remembers their addresses.
    follows: tuple[str, ...] = ()
    seconds: float = 120.0
    raw: dict[str, Any] = field(default_factory=dict)
    #: What its volumes (by target) and networks (by name) are, which its own settings do not say.
    around: dict[str, dict[str, Any]] = field(default_factory=lambda: {"volumes": {}, "networks": {}})


class Runtime:
    """The services of one compose project. Each method may raise Refused."""

    def __init__(self, context: Context, engine: Engine) -> None:
        self.context, self.engine, self.project = context, engine, context.project_name

    def compose(self, tree: Path, home: Path | None = None) -> Compose:
        """Compose with the files of `tree`; what they name is looked up below `home`, or the live tree."""
        repo = self.context.repo
        options = ["--project-name", self.project, "--env-file", str(self.context.env_path)]
        for path in compose_files(self.context, tree):
            options += ["--file", str(path)]
        profiles = {"COMPOSE_PROFILES": self.context.setting("COMPOSE_PROFILES")}
        # Before --file, the last of two counts; compose's own choice of files is made above.
        return Compose(home or repo, tuple(options), {**self.context.environ, **profiles, "COMPOSE_FILE": ""})

    def services(self, tree: Path) -> dict[str, Service]:
        """The services of the repository as it stands in `tree`, each after those it depends on."""
        compose = self.compose(tree)
        with ThreadPoolExecutor(2) as pool:
            hashing = pool.submit(compose.run, "config", "--hash", "*")
            config = compose.config()
            hashes = dict(line.split(maxsplit=1) for line in hashing.result().splitlines())
        return {
            name: _service(self.project, name, config, hashes.get(name, "")) for name in start_order(config)
        }

    def moved_volumes(self, tree: Path) -> dict[str, tuple[str, str]]:
        """Volumes that exist, and lie elsewhere in `tree`: {name: (where it is, what tree says)}."""
        moved = {}
        for name, volume in (self.compose(tree).config().get("volumes") or {}).items():
            there = self.engine.volume_device(self.project, name)
            wanted = str(((volume or {}).get("driver_opts") or {}).get("device", ""))
            if there and there != wanted:
                moved[name] = (there, wanted)
        return moved

    def running(self) -> dict[str, ContainerState]:
        """The container of each service that has one, whatever its state."""
        return containers.here(self.context, self.engine)

    def image(self, name: str) -> str | None:
        """The id of an image that is on this host."""
        return self.engine.image_id(name)

    def fetch(self, tree: Path, names: Sequence[str]) -> None:
        """Get images from their registries."""
        self.compose(tree).run("pull", "--quiet", *names)

    def build(self, tree: Path, names: Sequence[str]) -> None:
        """Build our own images from `tree`."""
        self.compose(tree, tree).run("build", "--quiet", *names)

    def keep(self, image: str, name: str) -> None:
        """Give an image a name, so that it stays here, or is what the service of that name starts."""
        repository, _, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "latest")
        self.engine.tag(image, repository, tag)

    def kept(self, repository: str) -> list[str]:
        """The names below `repository` that images were given."""
        return self.engine.tags(repository)

    def forget(self, name: str) -> None:
        """Take such a name away."""
        self.engine.untag(name)

    def replace(self, service: Service) -> float:
        """Start the service from the live tree in place of what runs; seconds until it is healthy."""
        began = time.monotonic()
        compose, before = self.compose(self.context.repo), self.running().get(service.name)
        try:
            # Not with --no-deps, which gives the container another hash of its settings. What it depends on
            # was brought in line before, and is left alone.
            compose.run("up", "--detach", "--no-build", "--force-recreate", service.name)
        except Refused as refusal:
            found = self.running().get(service.name)
            log = self.log(service.name) if found and (not before or found.id != before.id) else ""
            said = " ".join((refusal.details or str(refusal)).split())[-300:]
            raise Broken(service.name, f"cannot be started: {said}", log) from None
        self.wait(service)
        return time.monotonic() - began

    def remove(self, name: str) -> None:
        """Let a service that is no longer wanted end well, and remove its container."""
        container = self.running()[name].id
        for verb in (["stop"], ["rm", "--force"]):
            _docker([*verb, container], limit=300)

    def try_out(self, service: Service, script: str, options: Sequence[str]) -> tuple[int, str]:
        """Run a shell script in a service's image, apart from everything; exit code and what was said."""
        done = _docker(["run", *options, service.image, "-c", script], limit=120, check=False)
        return done.returncode, f"{done.stdout}\n{done.stderr}".strip()

    def job(self, tree: Path, service: str, words: Sequence[str], options: Sequence[str]) -> str:
        """Run a command in a new container of a service, with its networks; what it printed."""
        return self.compose(tree).run("run", "--rm", "--no-deps", "-T", *options, service, *words)

    def inside(self, service: str, words: Sequence[str], stdin: str = "", limit: float = 60) -> str:
        """Run a command in a service's running container; what it printed."""
        container = containers.chosen(self.running(), service, self.project)
        command = ["exec", "--interactive", container, *words]
        return _docker(command, stdin=stdin, limit=limit).stdout

    def stream(self, service: str, words: Sequence[str]) -> Iterator[str]:
        """The lines that a command in a service's running container prints, as they come."""
        return containers.lines(containers.chosen(self.running(), service, self.project), *words)

    def log(self, name: str) -> str:
        """The end of a service's log."""
        found = self.running().get(name)
        if found is None:
            return "(it has no container)"
        said = self.engine.logs(found.id, LOG_LINES).strip() or "(it wrote nothing)"
        health = f"\n--- its healthcheck: {found.health_output}" if found.health == "unhealthy" else ""
        return f"--- {name}: {found.word}, the end of its log:\n{said}{health}"

    def lines(self, names: Sequence[str], since: float = 0, tail: int = 0) -> list[LogLine]:
        """What services wrote since a time (epoch seconds), of each the last `tail` lines, in order."""
        running = self.running()
        return log_lines.read(self.engine, [running[name] for name in names if name in running], since, tail)

    def wait(self, service: Service) -> None:
        """Return when it is healthy. Raises Broken as soon as it is clear that it will not be."""
        end, pause = time.monotonic() + service.seconds, threading.Event()
        while True:
            found = self.running().get(service.name)
            if found and found.ok:
                return
            lost = found is None or found.health == "unhealthy" or found.restarts >= MAX_RESTARTS
            if lost or time.monotonic() > end:
                word = found.word if found else "absent"
                wrong = f"is not healthy ({word}), and was given {service.seconds:.0f} seconds"
                if found and found.restarts:
                    wrong = f"crashes: the engine has started it again {found.restarts} times"
                raise Broken(service.name, wrong, self.log(service.name))
            pause.wait(POLL_SECONDS)


def compose_files(context: Context, tree: Path) -> list[Path]:
    """The compose files as `docker compose` chooses them, those of the repository taken from `tree`."""
    listed = context.setting("COMPOSE_FILE")
    separator = context.setting("COMPOSE_PATH_SEPARATOR") or os.pathsep
    names = [part for part in listed.split(separator) if part] or ["docker-compose.yml"]
    if not listed:
        own = "docker-compose.override.yml"
        names += [own] if (tree / own).exists() or (context.repo / own).exists() else []
    return [_in_tree(context.repo, tree, Path(name)) for name in names]


def _in_tree(repo: Path, tree: Path, path: Path) -> Path:
    """A file of the repository in `tree`; one that git does not have stays where it is."""
    whole = path if path.is_absolute() else repo / path
    if not whole.is_relative_to(repo):
        return whole
    found = tree / whole.relative_to(repo)
    return found if found.exists() else whole


def _service(project: str, name: str, config: dict[str, Any], settings: str) -> Service:
    raw = config["services"][name]
    secrets = config.get("secrets", {})
    files = [(Path(m["source"]), m["target"]) for m in raw.get("volumes") or [] if m["type"] == "bind"]
    for item in raw.get("secrets") or []:
        if path := secrets.get(item["source"], {}).get("file"):
            target = item.get("target") or item["source"]
            files.append((Path(path), target if target.startswith("/") else f"/run/secrets/{target}"))
    build = raw.get("build")
    needed = (raw.get("depends_on") or {}).items()
    return Service(
        name=name,
        image=raw.get("image") or f"{project}-{name}",
        settings=settings,
        files=tuple(files),
        build=Path(build["context"]) if build else None,
        follows=tuple(other for other, how in needed if how.get("restart")),
        seconds=_patience(raw.get("healthcheck") or {}),
        raw=raw,
        around={
            "volumes": {
                m["target"]: [m.get("source"), (config.get("volumes") or {}).get(m.get("source"))]
                for m in raw.get("volumes") or []
                if m["type"] == "volume"
            },
            "networks": {
                name: (config.get("networks") or {}).get(name) for name in sorted(raw.get("networks") or {})
            },
        },
    )


def _patience(check: dict[str, Any]) -> float:
    """Seconds after which a healthcheck has given up, and a little more."""
    each = _seconds(check.get("interval", "30s")) + _seconds(check.get("timeout", "30s"))
    return _seconds(check.get("start_period", "0s")) + each * int(check.get("retries", 3)) + PATIENCE


def _seconds(text: str) -> float:
    """Compose's way to write a time, 1m30s, in seconds."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
    return sum(float(n) * units[unit] for n, unit in re.findall(r"([\d.]+)(ms|us|µs|ns|h|m|s)", text))


def _docker(
    words: Sequence[str], stdin: str = "", limit: float = 60, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """The docker CLI. Raises Refused with its own words: it failed, or took over `limit` seconds."""
    try:
        done = subprocess.run(
            ["docker", *words], input=stdin, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        problem = Problem(f"docker {words[0]}", f"no end after {limit:.0f} seconds", "make status")
        raise Refused(problem) from None
    if check and done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-400:]
        raise Refused(Problem(f"docker {words[0]}", f"failed: {said}", "make status"))
    return done


def as_json(text: str) -> Any:
    """The last line of a program's output, as it was printed in JSON."""
    return json.loads(text.strip().splitlines()[-1])
