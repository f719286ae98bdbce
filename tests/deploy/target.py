"""A real target: a container that is a whole server with systemd, sshd and a Docker engine of its own.

It is reached over ssh with a known host key, and its repository is a clone of a bare one that plays GitHub.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.stack.machine import SYSTEMD
from tests.stack.stack import clear, discard, eventually, run

IMAGE = "standin/target:trixie"
CONTEXT = Path(__file__).parent / "host"
REPOSITORY, ORIGIN = "/srv/mailserver", "/srv/origin.git"
DISKS = {"SSD_PATH": "/srv/ssd", "HDD_PATH": "/mnt/hdd"}
# A disk that can be filled: a file that is large on paper only, on a loop device.
DISK = """truncate --size 12G /srv/hdd.img && mkfs.ext4 -q /srv/hdd.img && mkdir -p /mnt/hdd /srv/ssd
mount -o loop /srv/hdd.img /mnt/hdd"""


@dataclass
class Done:
    """How a line ended, and what it said, both streams together."""

    code: int
    said: str


@dataclass
class Target:
    """A running host; `folder` on this machine holds the keys, and the repository that it fetches from."""

    name: str
    folder: Path
    port: int

    def start(self, base: str) -> None:
        """Start it, and wait until it answers over ssh."""
        words = ("docker", "build", "--quiet", "--build-arg", f"BASE={base}", "--tag", IMAGE, ".")
        run(*words, cwd=CONTEXT)
        clear(self.name)
        self.origin.mkdir(parents=True)
        places = ("/var/lib/docker", "/srv", f"{self.origin}:{ORIGIN}:ro")
        volumes = [word for place in places for word in ("--volume", place)]
        where = ("--name", self.name, "--hostname", self.name, "--publish", f"127.0.0.1:{self.port}:22")
        run("docker", "run", "--detach", *where, *SYSTEMD, *volumes, IMAGE, cwd=self.folder)
        self._keys()
        eventually(lambda: self.ssh("docker info >/dev/null").code == 0, limit=300)
        self.shell(DISK)

    def end(self) -> None:
        discard(self.name)

    def _keys(self) -> None:
        """A person's key and GitHub's, and the host's own as a person reads it off the host's console."""
        for key in (self.key, self.deploy_key):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key), cwd=self.folder)
        public = self.key.with_suffix(".pub").read_text()
        self.console("install -d -m 700 /root/.ssh && cat >/root/.ssh/authorized_keys", stdin=public)
        host = self.console("ssh-keygen -A >/dev/null; cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {host}")

    @property
    def key(self) -> Path:
        return self.folder / "key"

    @property
    def deploy_key(self) -> Path:
        """What GitHub has: the host gives it nothing but what the agent may be asked for."""
        return self.folder / "deploy-key"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def origin(self) -> Path:
        return self.folder / "origin.git"

    @property
    def address(self) -> str:
        """Whom to log in as, and where."""
        return f"ssh://root@127.0.0.1:{self.port}"

    def ssh_words(self, line: str, key: Path | None = None) -> list[str]:
        """A line as whoever has the key sends it; without one, a person's, for bash."""
        options = {"UserKnownHostsFile": self.known_hosts, "StrictHostKeyChecking": "yes", "BatchMode": "yes"}
        flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return [
            "ssh",
            "-i",
            str(key or self.key),
            *flags,
            self.address,
            line if key else f"bash -euo pipefail -c {shlex.quote(line)}",
        ]

    def ssh(self, line: str, limit: float = 900) -> Done:
        """Run a line on the host as whoever logs in does."""
        return call(self.ssh_words(line), limit)

    def shell(self, line: str, limit: float = 900) -> str:
        """Run a line that must succeed, and return what it printed."""
        done = self.ssh(line, limit)
        assert done.code == 0, f"{line}\nexited {done.code}:\n{done.said[-8000:]}"
        return done.said

    def repo(self, line: str, limit: float = 900) -> Done:
        """Run a line in the host's repository."""
        return self.ssh(f"cd {REPOSITORY} && {line}", limit)

    def console(self, line: str, stdin: str = "") -> str:
        """Run a line without ssh."""
        words = ["docker", "exec", "--interactive", self.name, "bash", "-euo", "pipefail", "-c", line]
        done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, f"{line}\nexited {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def load(self, images: list[str]) -> None:
        """Copy images into the host's engine, as its registry would."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
            words = ["docker", "exec", "--interactive", self.name, "docker", "load", "--quiet"]
            subprocess.run(words, stdin=save.stdout, check=True, capture_output=True, timeout=1800)
        assert save.returncode == 0

    def containers(self) -> dict[str, dict[str, str]]:
        """Every container of the mail server by its service: id, image, health, start."""
        shown = "{{json .Config.Labels}} {{json .Image}} {{.Id}} {{.State.StartedAt}} {{json .State}}"
        ids = "docker ps --all --quiet --no-trunc --filter label=com.docker.compose.project=mailserver"
        lines = self.shell(f"{ids} | xargs --no-run-if-empty docker inspect --format {shlex.quote(shown)}")
        return dict(map(_container, lines.splitlines()))


def _container(line: str) -> tuple[str, dict[str, str]]:
    reader = json.JSONDecoder()
    labels, at = reader.raw_decode(line)
    image, identity, started, state = line[at:].split(maxsplit=3)
    state = json.loads(state)
    health = state.get("Health", {}).get("Status", state["Status"])
    return labels["com.docker.compose.service"], {
        "id": identity, "image": json.loads(image), "started": started, "health": health,
    }  # fmt: skip


def call(
    words: list[str], limit: float, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Done:
    """Run a command to its end; `env` is all that it sees, this process's when there is none."""
    done = subprocess.run(
        words,
        env=env if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=limit,
        check=False,
    )
    return Done(done.returncode, done.stdout)
