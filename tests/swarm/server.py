"""The generated mail server on the hosts of engines.py, set up as the documents tell its operator."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.generation.generate import config_file, render
from tests.places import PLATFORM
from tests.stack.clients import PASSWORD
from tests.stack.stack import eventually, run
from tests.swarm import engines as made
from tests.swarm.crowd import DATABASE, Crowd
from tests.swarm.engines import HDD, SSD, Engines, Host
from tools import engine, standins

ANSWERS = {"scale": "swarm", "client_access": "lan", "ssd_path": SSD, "hdd_path": HDD}
PEOPLE = ("anna@example.com", "bert@example.com", "carl@example.com")
MAILCTL = f"PYTHONPATH='{PLATFORM / 'mailctl' / 'src'}' python3 -m mailctl"
#: What tests reach at the hosts' addresses, where the tunnel would: the API and the pages.
DOORS = {"mailserver-api": "8000:8000", "nginx": "8080:80"}
BUILT = ("postfix", "unbound", "usermgmt", "mailserver-api")


@dataclass
class Server:
    """One repository, which every host has at the same path, as a git clone would be."""

    repo: Path
    engines: Engines

    @property
    def hosts(self) -> list[Host]:
        return self.engines.hosts

    def mailctl(self, host: Host, *words: str, ok: bool = True) -> dict:
        """Run `mailctl … --json` as root on a host and return its document; it must succeed, or must not."""
        line = f"{MAILCTL} {' '.join(words)} --json"
        command = ("docker", "exec", "--workdir", str(self.repo), host.container, "sh", "-c", line)
        done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False)
        said = f"{words} on {host.name}:\n{done.stdout}\n{done.stderr[-6000:]}"
        assert (done.returncode == 0) == ok and done.stdout, said
        return json.loads(done.stdout)

    def task(self, host: Host, service: str) -> tuple[str, ...]:
        """The command that runs something in the task of a service on this host."""
        container = host.tasks(f"{self.repo.name}_{service}")[0]["Id"]
        return (
            "docker",
            "exec",
            "--interactive",
            host.container,
            "docker",
            "exec",
            "--interactive",
            container,
        )

    def inside(self, host: Host, service: str, *words: str, stdin: str = "") -> str:
        """What a command in a task of this host prints."""
        command = [*self.task(host, service), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{service}: {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.repo / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def services(self, host: Host) -> dict[str, dict]:
        """What runs where, asked of a host; it is not good while another one is down."""
        line = f"cd {self.repo} && {MAILCTL} swarm status --json || true"
        said = host.shell(line)
        assert '"services"' in said, said  # without a leader, for some seconds, the engine answers nothing
        return {each["name"]: each for each in json.loads(said)["services"]}

    def whole(self, host: Host) -> bool:
        """Whether everything runs as often as it should, and every member of the database is in it."""
        number = self.hosts.index(host) + 1
        line = "for n in 1 2 3; do /bin/sh /usr/local/bin/ask-member mariadb-$n; done"
        said = self.inside(host, f"mariadb-{number}", "/bin/sh", "-c", line)
        states = sorted(each.split()[1] for each in said.splitlines())
        running = all(each["running"] >= each["wanted"] for each in self.services(host).values())
        return running and states == ["member", "member", "writer"]

    def crowd(self) -> Crowd:
        secrets = self.repo / "secrets"
        token = (secrets / "mailserver_api_tokens").read_text().split()[0]
        addresses = [host.address for host in self.hosts]
        return Crowd(addresses, list(PEOPLE), str(secrets / "internal_ca.crt"), token)

    def writer(self, host: Host) -> list[str]:
        """The command that writes into the database all the while, from this host."""
        return [*self.task(host, "usermgmt"), "python", "-c", DATABASE]

    def deliver_now(self, hosts: list[Host]) -> None:
        """Have each queue try again at once what it has deferred."""
        for host in hosts:
            self.inside(host, "postfix", "postqueue", "-f")


def exactly_once(server: Server, crowd: Crowd, limit: float = 150) -> None:
    """Every mail that was promised to somebody is there, and once."""

    def look() -> bool:
        # What is deferred waits for minutes, and may be again while all of it comes back.
        server.deliver_now(server.hosts)
        lacking = crowd.lacking()
        assert lacking == {}, lacking
        return True

    eventually(look, limit=limit, every=5)


def generated(name: str, folder: Path) -> tuple[Path, list[str]]:
    """The repository with its settings, and the images it runs, which this machine's engine has."""
    repo = render({**ANSWERS, "project_slug": name}, folder, config_file(folder / "settings"))
    settings = {"LAN_ADDRESS": "0.0.0.0", "SWARM_REGISTRY": f"{name}-registry:{made.REGISTRY_PORT}"}  # noqa: S104
    text = (repo / ".env.example").read_text()
    lines = [line for line in text.splitlines() if line.partition("=")[0] not in settings]
    lines += [f"{key}={value}" for key, value in settings.items()]
    (repo / ".env").write_text("\n".join(lines) + "\n")
    override = standins.override(repo, output=folder / "standins.yml")
    words = ("docker", "compose", "--file", "docker-compose.yml", "--file", str(override), "build", "--quiet")
    run(*words, *BUILT, cwd=repo)
    services = {
        key: {"image": each["image"]}
        for key, each in yaml.safe_load(override.read_text())["services"].items()
        if "image" in each
    }
    for key in (*BUILT, "mover"):
        services[key] = {"image": f"{name}-{'usermgmt' if key == 'mover' else key}", "build": None}
    for key, port in DOORS.items():
        services[key] |= {"ports": [port], "networks": ["doors"]}
    text = yaml.safe_dump({"services": services, "networks": {"doors": {}}})
    # The hosts reach no registry of packages: what is built, was built here.
    (repo / "hosts.yml").write_text(text.replace("build: null", "build: !reset null"))
    with (repo / ".env").open("a") as file:
        file.write("COMPOSE_FILE=docker-compose.yml:hosts.yml\n")
    (repo / ".env").chmod(0o600)
    # With the libraries of mailctl, which the hosts have in part; there it finds the secrets made.
    path = {"PYTHONPATH": str(PLATFORM / "mailctl" / "src")}
    run(sys.executable, "-m", "mailctl", "secrets", "init", cwd=repo, env=path)
    return repo, sorted({each["image"] for each in services.values()})


@contextmanager
def running(name: str, folder: Path) -> Iterator[Server]:
    """The server, deployed from its first host, with a mailbox on each shard."""
    engine.ensure(with_debootstrap=True)
    with standins.shown_progress() as progress:
        standins.build(progress)
    repo, images = generated(name, folder)
    made.build("standin/debian:trixie-slim")
    with (
        tempfile.TemporaryDirectory(prefix="sw-") as sockets,
        made.running(name, Path(sockets), folder, PLATFORM.parent.parent) as engines,
    ):
        (repo / "nodes.yml").write_text(engines.inventory())
        server, first = Server(repo, engines), engines.hosts[0]
        engines.load(images, first)
        for host in engines.hosts:
            server.mailctl(host, "setup")
            server.mailctl(host, "node", "add", host.name)
        server.mailctl(first, "swarm", "push")
        server.mailctl(first, "swarm", "preflight")
        server.mailctl(first, "swarm", "deploy")
        for host in engines.hosts:
            assert server.mailctl(host, "node", "add", host.name)["left"] == []
        mailboxes = [{"email": each, "password": PASSWORD} for each in PEOPLE]
        wanted = {"domains": [{"name": "example.com"}], "mailboxes": mailboxes}
        server.inside(first, "usermgmt", "usermgmt", "ensure", stdin=json.dumps(wanted))
        yield server
