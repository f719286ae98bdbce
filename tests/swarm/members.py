"""Three members of the database, and two HAProxies before them, on a plain Docker network.

Their settings are those of the generated repository's compose file (scale: swarm), of which only these
services are taken; what the engine does with them on several hosts is the matter of other tests.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

import pymysql
import yaml

from tests.generation.generate import config_file, render
from tests.places import PLATFORM
from tools import standins
from tools.standin_override import override_for
from tools.standin_override import services as compose_services

MEMBERS = ("mariadb-1", "mariadb-2", "mariadb-3")
#: What leads to a member: two of each, of all else one.
DOORS = ("database", "memory")
MAILCTL = {"PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
T = TypeVar("T")
LABEL = "com.docker.swarm.service.name"


def docker(*words: str, limit: float = 120, check: bool = True) -> str:
    """What a docker command printed, both streams."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=limit, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stderr[-3000:]}"
    return done.stdout + done.stderr


def eventually(look: Callable[[], T], what: str, limit: float = 180, every: float = 0.2) -> T:
    """The first true answer; fails with `what` when there is none in time."""
    end = time.monotonic() + limit
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: not within {limit:.0f} s"
        time.sleep(every)
    return found


@dataclass
class Database:
    """The containers of one such database; `folder` holds the repository and the members' folders."""

    folder: Path
    project: str
    services: tuple[str, ...] = ("mariadb", "database")
    #: Variables that differ from the repository's, where the service has them.
    variables: dict[str, str] = field(default_factory=dict)
    repository: Path = field(init=False)

    def start(self) -> None:
        """Generate the repository and start all of it, each member with an empty folder of its own."""
        self.repository = render(
            {"scale": "swarm"}, self.folder / "out", config_file(self.folder / "settings")
        )
        (self.repository / ".env").write_text(
            (self.repository / ".env.example").read_text()
            + f"SSD_PATH={self.folder}\nHDD_PATH={self.folder}\n"
        )
        (self.repository / ".env").chmod(0o600)
        self.mailctl("secrets", "init")
        (self.repository / "nodes.yml").touch()
        self.prepare(*(f"{service}-{number}" for service in self.services for number in (1, 2, 3)))
        self.compose("up", "--detach")

    def prepare(self, *members: str) -> None:
        """Give members empty folders that are their own, as on hosts that are new."""
        own = "rm -rf $m && mkdir -p $m && echo $m >$m/.member && chown -R 999:1000 $m"
        script = f"mkdir -p /x/disks && cd /x/disks && for m in {' '.join(members)}; do {own}; done"
        mount = ("--rm", f"--volume={self.folder}:/x", "--entrypoint=sh")
        docker("run", *mount, self._standin("mariadb:11.8.9"), "-c", script)

    def forget(self, member: str, *files: str) -> None:
        """Delete files in a member's folder."""
        mount = ("--rm", f"--volume={self.folder / 'disks' / member}:/x", "--entrypoint=rm")
        docker("run", *mount, self._standin("mariadb:11.8.9"), "-f", *(f"/x/{name}" for name in files))

    def mailctl(self, *words: str, check: bool = True) -> str:
        """What a command of mailctl printed for this repository."""
        command = [sys.executable, "-m", "mailctl", *words, "--repo", str(self.repository)]
        environ = {**os.environ, **MAILCTL, "COMPOSE_PROJECT_NAME": self.project}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=180, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def compose(self, *words: str) -> str:
        """Docker Compose with the services of this file only."""
        path = self.folder / "compose.yml"
        if not path.exists():
            path.write_text(yaml.safe_dump(self._model()))
        return docker("compose", "--project-name", self.project, "--file", str(path), *words, limit=300)

    def remove(self) -> None:
        """Remove containers, networks, folders."""
        self.compose("down", "--volumes", "--timeout", "0")
        docker(
            "run",
            "--rm",
            f"--volume={self.folder}:/x",
            "--entrypoint=rm",
            self._standin("mariadb:11.8.9"),
            "-rf",
            "/x/disks",
        )

    def _standin(self, reference: str) -> str:
        table = standins.Table()
        image = table.find(reference)
        return table.built_tag(image) if image else reference

    def _model(self) -> dict[str, Any]:
        environ = {**os.environ, "MEMBER": "@MEMBER@"}
        words = ("docker", "compose", "--project-directory", str(self.repository), "config")
        told = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        merged = yaml.safe_load(told.stdout)
        services: dict[str, Any] = {}
        standins_of = override_for(compose_services(self.repository), standins.Table())["services"]
        for name in self.services:
            service = merged["services"][name]
            per = service.pop("x-per", None)
            service.pop("depends_on", None)
            environment = service.get("environment") or {}
            environment.update({key: value for key, value in self.variables.items() if key in environment})
            instead = standins_of[name]
            service |= {
                **instead,
                **({"build": service["build"] | instead["build"]} if "build" in instead else {}),
            }
            if not per and name not in DOORS:
                service["deploy"] = {"resources": service["deploy"]["resources"]}
            for member in [f"{name}-{n}" for n in (1, 2, 3)] if per else []:
                services[member] = self._one_of(service, member)
            if not per:
                services[name] = service
        used = {each for service in services.values() for each in service["networks"]}
        volumes = {
            mount["source"]: {}
            for service in services.values()
            for mount in service.get("volumes", ())
            if mount["type"] == "volume"
        }
        networks = {name: {"internal": True} for name in used}
        return {"services": services, "networks": networks, "volumes": volumes, "secrets": merged["secrets"]}

    def _one_of(self, service: dict[str, Any], member: str) -> dict[str, Any]:
        """One member's service; its volume is a folder of its own, as on a host of its own."""
        one: dict[str, Any] = json.loads(json.dumps(service).replace("@MEMBER@", member[-1]))
        # Nobody here asks for a time zone; filling those tables takes seconds.
        one.setdefault("environment", {})["MARIADB_INITDB_SKIP_TZINFO"] = "1"
        one["labels"] = {LABEL: f"{self.project}_{member}"}
        one["networks"] = {each: {"aliases": [member]} for each in one["networks"]}
        for mount in one["volumes"]:
            if mount["type"] == "volume":
                mount.update(type="bind", source=str(self.folder / "disks" / member))
                mount.pop("volume", None)
        return one

    def container(self, service: str, number: int = 1) -> str:
        """The name of a service's container."""
        return f"{self.project}-{service}-{number}"

    def aliases(self, service: str) -> set[str]:
        """The names under which clients reach it."""
        model = yaml.safe_load((self.folder / "compose.yml").read_text())["services"][service]
        return {name for each in model["networks"].values() for name in (each or {}).get("aliases", ())}

    def running(self, service: str) -> bool:
        """Whether its container runs."""
        return "true" in docker(
            "inspect", "--format={{.State.Running}}", self.container(service), check=False
        )

    def healthy(self, service: str) -> bool:
        """Whether its health check passes."""
        said = docker("inspect", "--format={{.State.Health.Status}}", self.container(service))
        return said.strip() == "healthy"

    def address(self, service: str, number: int, network: str) -> str:
        """Where one of its containers is, in one of its networks."""
        path = f'{{{{(index .NetworkSettings.Networks "{self.project}_{network}").IPAddress}}}}'
        return docker("inspect", "--format", path, self.container(service, number)).strip()

    def feed(self, service: str, stdin: str, *words: str) -> str:
        """What a command printed that was given something to read."""
        command = ["docker", "exec", "--interactive", self.container(service), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def kill(self, *members: str) -> None:
        """As when the power fails."""
        docker("kill", "--signal=KILL", *map(self.container, members))

    def again(self, *members: str) -> None:
        """Start what was stopped or killed."""
        docker("start", *map(self.container, members))

    def state(self, member: str) -> str:
        """The member's word for itself (state.sh); "" when it cannot be asked."""
        said = docker(
            "exec", self.container(member), "sh", "/usr/local/bin/member-state", check=False, limit=20
        ).split()
        return said[1] if len(said) == 5 and said[0] == member else ""

    def states(self) -> list[str]:
        """The words of all members, sorted."""
        return sorted(self.state(member) for member in MEMBERS)

    def writer(self) -> str:
        """The member that writes; waits until there is one."""
        return eventually(
            lambda: next((m for m in MEMBERS if self.state(m) == "writer"), ""), "a writer", 300
        )

    def whole(self) -> None:
        """Wait until all three are in it, and one writes."""
        try:
            eventually(lambda: self.states() == ["member", "member", "writer"], "the whole database", 300)
        except AssertionError as error:
            logs = "".join(
                f"--- {m}:\n{docker('logs', '--tail=60', self.container(m), check=False)}" for m in MEMBERS
            )
            raise AssertionError(f"{error}: {self.states()}\n{logs}") from None

    def inside(self, member: str, *words: str) -> str:
        """What a command in a member's container printed."""
        return docker("exec", self.container(member), *words)

    def docker(self, verb: str, *members: str) -> None:
        """Have the engine do something to members: pause, unpause. A busy one may need a second try."""
        names = [self.container(member) for member in members]
        eventually(lambda: docker(verb, *names, check=False).split() == names, verb)

    def log(self, member: str) -> str:
        """All that it wrote."""
        return docker("logs", self.container(member), check=False)

    def dump(self, folder: Path) -> None:
        """What a backup does with the database."""
        script = (
            "import sys, pathlib; from mailctl.core.context import Context;"
            "from mailctl.core.output import Output;"
            "from mailctl.core.database import dump;"
            "dump(Context(pathlib.Path(sys.argv[1]), Output()), pathlib.Path(sys.argv[2]))"
        )
        command = [sys.executable, "-c", script, str(self.repository), str(folder)]
        environ = {**os.environ, **MAILCTL, "COMPOSE_PROJECT_NAME": self.project}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def sql(self, member: str, statement: str) -> list[str]:
        """What root is told by one member."""
        root = "MYSQL_PWD=$(cat /run/secrets/mariadb_root_password)"
        script = f'{root} exec mariadb --skip-ssl -uroot --batch -N -e "$1"'
        return docker("exec", self.container(member), "sh", "-c", script, "sh", statement).splitlines()

    def leads(self) -> bool:
        """Whether a client gets in by the first HAProxy."""
        try:
            self.connect().close()
        except (pymysql.MySQLError, OSError):
            return False
        return True

    def connect(self, door: int = 1) -> pymysql.Connection[Any]:
        """A client's connection, by one of the two HAProxies, with TLS to the database itself."""
        address = self.address("database", door, "data")
        context = ssl.create_default_context(cafile=str(self.repository / "secrets" / "internal_ca.crt"))
        context.check_hostname = False
        password = (self.repository / "secrets" / "mariadb_owner_password").read_text().strip()
        return pymysql.connect(
            host=address,
            user="mailserver",
            password=password,
            database="mailserver",
            autocommit=True,
            ssl=context,
            connect_timeout=3,
            read_timeout=15,
        )


@dataclass
class Writing:
    """Clients that insert rows, each by a door of its own, until they are told to stop."""

    database: Database
    clients: int = 4
    acknowledged: set[str] = field(default_factory=set)
    moments: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _end: Event = field(default_factory=Event)

    def __enter__(self) -> Writing:
        with closing(self.database.connect()) as client, client.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS written (id VARCHAR(40) PRIMARY KEY) ENGINE=InnoDB")
        self._threads = [Thread(target=self._write, args=(n,)) for n in range(self.clients)]
        for thread in self._threads:
            thread.start()
        eventually(lambda: len(self.acknowledged) > 50, "the first rows")
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def more(self, limit: float = 60) -> None:
        """Wait until something is acknowledged again."""
        before = len(self.acknowledged)
        eventually(lambda: len(self.acknowledged) > before + 40, "rows again", limit)

    def gap(self) -> float:
        """The longest time without an acknowledgement, in seconds."""
        moments = sorted(self.moments)
        return max((b - a for a, b in pairwise(moments)), default=0.0)

    def missing(self, member: str) -> set[str]:
        """What was acknowledged and a member does not have."""
        return self.acknowledged - set(self.database.sql(member, "SELECT id FROM mailserver.written"))

    def _write(self, client: int) -> None:
        number, start = 0, time.monotonic_ns()
        while not self._end.is_set():
            with suppress(OSError), self._connection(client) as connection, connection.cursor() as cursor:
                while not self._end.is_set():
                    number += 1
                    row = f"{start}-{client}-{number}"
                    cursor.execute("INSERT INTO written VALUES (%s)", (row,))
                    self.acknowledged.add(row)
                    self.moments.append(time.monotonic())
            self._end.wait(0.1)

    def _connection(self, client: int) -> Any:
        try:
            return _Closing(self.database.connect(1 + client % 2), self.refused)
        except pymysql.MySQLError as error:
            self.refused.append(str(error))
            raise ConnectionError(str(error)) from None


class _Closing:
    """A connection that is closed at the end; what the database refuses on it ends it, and is noted."""

    def __init__(self, connection: pymysql.Connection[Any], refused: list[str]) -> None:
        self._connection, self._refused = connection, refused

    def __enter__(self) -> pymysql.Connection[Any]:
        return self._connection

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        with suppress(pymysql.MySQLError, OSError):
            self._connection.close()
        if isinstance(error, pymysql.MySQLError):
            self._refused.append(str(error))
            return True
        return False


def watched(database: Database, end: Event, seen: list[tuple[str, ...]]) -> Thread:
    """Notes again and again who says that it writes, until the end."""

    def watch() -> None:
        while not end.is_set():
            seen.append(tuple(member for member in MEMBERS if database.state(member) == "writer"))

    thread = Thread(target=watch)
    thread.start()
    return thread


def doors(database: Database) -> Iterator[str]:
    """Where each HAProxy leads to: the member's own name."""
    for door in (1, 2):
        with closing(database.connect(door)) as client, client.cursor() as cursor:
            cursor.execute("SELECT @@wsrep_node_name")
            row: Sequence[Any] | None = cursor.fetchone()
            assert row
            yield str(row[0])
