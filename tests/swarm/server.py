"""The generated mail server on the hosts of engines.py, set up as the documents tell its operator."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.generation.generate import config_file, render
from tests.places import PLATFORM
from tests.stack.stack import run
from tests.swarm.engines import HDD, SSD, Engines, Host
from tools import standins

ANSWERS = {
    "scale": "swarm",
    "client_access": "lan",
    "mail_domain": "example.com",
    "ssd_path": SSD,
    "hdd_path": HDD,
}
DATABASE_USER = "999:999"
#: What the tests reach by the hosts' addresses, where the tunnel would: the API and the pages.
DOORS = {"mailserver-api": "8000:8000", "nginx": "8080:80"}


@dataclass
class Server:
    """One repository, which every host has at the same path."""

    repo: Path
    engines: Engines

    @property
    def name(self) -> str:
        return self.repo.name

    def mailctl(self, host: Host, *words: str, ok: bool = True) -> dict:
        """Run `mailctl … --json` as root on a host and return its document; it must succeed, or must not."""
        command = f"PYTHONPATH={PLATFORM / 'mailctl' / 'src'} python3 -m mailctl {' '.join(words)} --json"
        words = ("docker", "exec", "--workdir", str(self.repo), host.container, "sh", "-c", command)
        done = subprocess.run(words, capture_output=True, text=True, timeout=1200, check=False)
        assert (done.returncode == 0) == ok, f"{words} exited {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def task(self, host: Host, service: str) -> str:
        """The container of a service on this host."""
        return host.tasks(f"{self.name}_{service}")[0]["Id"]

    def inside(self, host: Host, service: str, *words: str, stdin: str = "") -> str:
        """Run a command in a task of this host."""
        command = ("docker", "exec", "--interactive", self.task(host, service), *words)
        done = subprocess.run(
            command, input=stdin, env={**os.environ, **host.env}, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{service}: {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def edit(self, file: str, old: str, new: str) -> None:
        path = self.repo / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))


def generated(name: str, folder: Path) -> Path:
    """The repository, its images built in this machine's engine, and the secrets of its first `make setup`."""
    repo = render({**ANSWERS, "project_slug": name}, folder, config_file(folder / "settings"))
    table = standins.Table()
    own = [each.name for each in (repo / "platform").iterdir() if (each / "Dockerfile").exists()]
    override = standins.override(repo, output=folder / "standins.yml")
    run("docker", "compose", "--file", "docker-compose.yml", "--file", str(override), "build", "--quiet", cwd=repo)
    return repo
