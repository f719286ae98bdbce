"""A host, the repository that it follows, and the way from nothing to a running server on it."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.origin import OVERRIDE, Origin
from tests.deploy.target import ORIGIN, REPOSITORY, Target
from tests.deploy.traffic import ME
from tests.deploy.workflow import Job, by_ssh
from tests.stack.machine import needed

SETTINGS = {
    "SSD_PATH": "/srv/ssd",
    "HDD_PATH": "/mnt/hdd",
    "ADMIN_EMAIL": ME,
    "DEPLOY_METHOD": "pull",
    # Each commit that is rolled back waits for so long.
    "CANARY_SECONDS": "30",
}
# Of `make setup-host`, what belongs to ssh: the agent, and the line of the key that may ask it.
AGENT = f"""import sys
from pathlib import Path
from mailctl.agent import setup
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.host import install, ssh, units
repo = Path("{REPOSITORY}")
given = {{"DEPLOY_METHOD": "ssh", "DEPLOY_SSH_PUBLIC_KEY": sys.argv[1]}}
context = Context(repo, Output(), environ=given)
setup.repair(context)
place = units.Place("mailserver", repo, Path("/mnt/hdd"), Path("/srv/ssd"), "UTC")
install._write(place.home / "run", units.launcher(place))
ssh.write("mailserver", ssh.key(context, ()))
"""
USERMGMT = "docker compose exec -T usermgmt usermgmt"
ACCOUNTS = {
    "domains": [{"name": "example.com"}],
    "mailboxes": [{"email": ME, "password": "a-Password-1-of-mine", "quota": "2G"}],
}
ACCOUNT = f"printf %s '{json.dumps(ACCOUNTS)}' | {USERMGMT} ensure"


@dataclass
class Lab:
    """A host with its repository; `first` is its first deployment, `good` the commit that should run."""

    target: Target
    origin: Origin
    standin: bool
    first: Job | None = None
    seconds: float = 0.0
    good: str = ""

    @property
    def image(self) -> str:
        """An image with Python, which the host has."""
        return "standin/python:3.13" if self.standin else "python:3.13-slim-trixie"

    def deploy(self, commit: str) -> Job:
        """As a merge does, by SSH."""
        return by_ssh(self.target, commit, self.target.folder)

    def begin(self) -> None:
        """Deploy for the first time, and make an account for a reader."""
        began = time.monotonic()
        self.first = self.deploy(self.origin.head)
        self.seconds = time.monotonic() - began
        assert not self.first.red, self.first.said
        done = self.target.repo(ACCOUNT)
        assert done.code == 0, done.said
        self.good = self.origin.head


@contextmanager
def opened(name: str, folder: Path, port: int, standin: bool, keep: bool = False) -> Iterator[Lab]:
    """A host on which nothing was ever deployed; with `keep` it stays, and is used again from then on."""
    target = Target(name, folder, port)
    lab = Lab(target, Origin(folder / "work" / "mailserver", target.origin), standin)
    if target.known_hosts.exists():
        yield lab
        return
    try:
        target.start("standin/debian:trixie-slim" if standin else "debian:trixie-slim")
        lab.origin.make(standin)
        if standin:
            target.load([*needed(lab.origin.work / OVERRIDE), "standin/python:3.13"])
        prepare(target, standin)
        yield lab
    finally:
        if not keep:
            target.end()


def prepare(target: Target, standin: bool) -> None:
    """What a person does on a new host: clone, fill in .env, make setup."""
    target.shell(f"git clone --quiet {ORIGIN} {REPOSITORY} && cp {REPOSITORY}/.env.example {REPOSITORY}/.env")
    settings = SETTINGS | ({"COMPOSE_FILE": f"docker-compose.yml:{OVERRIDE}"} if standin else {})
    lines = "; ".join(f"sed -i '/^{n}=/d' .env; echo '{n}={v}' >>.env" for n, v in settings.items())
    target.shell(f"cd {REPOSITORY} && {{ {lines}; }}")
    target.shell(f"make --no-print-directory -C {REPOSITORY} setup", limit=1200)
    public = target.deploy_key.with_suffix(".pub").read_text().strip()
    target.console(f"{REPOSITORY}/.venv/bin/python - {shlex.quote(public)}", stdin=AGENT)
