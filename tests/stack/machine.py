"""A host as operators have it: a container with systemd, whose mail server runs in this machine's engine."""

from __future__ import annotations

import imaplib
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.stack.stack import discard, eventually, run

IMAGE = "standin/{}:trixie"
CONTEXT = Path(__file__).parent / "host"
# systemd wants to own these; see "Running systemd inside a container" in its documents.
SYSTEMD = (
    *("--privileged", "--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"),  # noqa: S108 (inside)
)
SOCKET = "/var/run/docker.sock:/run/docker.sock"
# The call of the edge, made from inside, since nothing is published on this host.
POST = """import sys, urllib.request as u
url = 'http://127.0.0.1:8000/v1/messages'
token = open('/run/secrets/mailserver_api_tokens').read().split()[0]
headers = {'Authorization': 'Bearer ' + token, 'X-Envelope-From': 'a@b.example', 'X-Envelope-To': sys.argv[1]}
print(u.urlopen(u.Request(url, sys.stdin.buffer.read(), headers), timeout=60).status)"""


@dataclass
class Machine:
    """A running container; `home` has the same path inside and outside, for the engine is outside."""

    name: str
    home: Path
    repository: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def start(cls, name: str, home: Path, base: str, *shared: Path, kind: str = "host") -> Machine:
        """Start it and wait until systemd has come up; `kind` is a target of its Dockerfile."""
        words = ("--quiet", "--build-arg", f"BASE={base}", "--target", kind, "--tag", IMAGE.format(kind))
        run("docker", "build", *words, ".", cwd=CONTEXT)
        home.mkdir(parents=True, exist_ok=True)
        words = ("docker", "run", "--detach", "--name", name, "--hostname", name, *SYSTEMD)
        folders = _outside(kind, (home, *shared))
        run(*words, *folders, IMAGE.format(kind), cwd=home)
        machine = cls(name, home, home / "mailserver")
        eventually(lambda: machine.up, limit=60)
        return machine

    @property
    def up(self) -> bool:
        done = self.call("systemctl is-system-running", cwd=Path("/"))
        return done.stdout.strip() in ("running", "degraded")

    @property
    def ssd(self) -> Path:
        return self.home / "ssd"

    @property
    def hdd(self) -> Path:
        return self.home / "hdd"

    def end(self) -> None:
        """Switch it off: what was only in the container is gone."""
        discard(self.name)

    def load(self, override: Path) -> None:
        """Copy the stand-ins that an override names into the machine's own engine, as its registry would."""
        with subprocess.Popen(["docker", "save", *needed(override)], stdout=subprocess.PIPE) as save:
            words = ["docker", "exec", "--interactive", self.name, "docker", "load", "--quiet"]
            subprocess.run(words, stdin=save.stdout, check=True, capture_output=True, timeout=1800)
        assert save.returncode == 0

    def call(
        self, line: str, cwd: Path | None = None, limit: float = 1800
    ) -> subprocess.CompletedProcess[str]:
        """Run a line of the documents, and return how it ended."""
        env = [word for pair in self.env.items() for word in ("--env", "=".join(pair))]
        shell = (self.name, "bash", "-euo", "pipefail", "-c", line)
        return subprocess.run(
            ["docker", "exec", *env, "--workdir", str(cwd or self.repository), *shell],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=limit,
            check=False,
        )

    def shell(self, line: str, cwd: Path | None = None) -> str:
        """Run a line that must succeed, and return what it printed."""
        done = self.call(line, cwd)
        assert done.returncode == 0, f"{line}\nexited {done.returncode}:\n{done.stdout[-8000:]}"
        return done.stdout

    def setting(self, **values: object) -> str:
        """Write settings into .env as an operator does, or add it. Returns the last one's old value."""
        path = self.repository / ".env"
        text, before = path.read_text(), ""
        for name, value in values.items():
            before = "".join(re.findall(rf"^{name}=(.*)$", text, re.MULTILINE))
            line = f"{name}={value}"
            text, count = re.subn(rf"^{name}=.*$", lambda _, line=line: line, text, flags=re.MULTILINE)
            text = text if count else f"{text}{line}\n"
        path.write_text(text)
        return before

    def container(self, service: str) -> str:
        return self.shell(f"docker compose ps --quiet {service}").strip()

    def healthy(self, limit: float = 300) -> None:
        """Wait until every service is."""
        eventually(lambda: set(self.states().values()) == {"healthy"}, limit=limit, every=1)

    def states(self) -> dict[str, str]:
        lines = self.shell("docker compose ps --all --format json").splitlines()
        return {one["Service"]: one["Health"] for one in map(json.loads, lines)}

    def deliver(self, address: str, mail: bytes) -> None:
        """Hand a mail to mailserver-api as the edge does, again while the answer is no yes."""
        command = ("docker", "exec", "--interactive", self.container("mailserver-api"))

        def post() -> bool:
            done = subprocess.run(
                [*command, "python", "-c", POST, address],
                input=mail,
                capture_output=True,
                timeout=120,
                check=False,
            )
            assert done.stdout.strip() == b"200", done.stderr.decode()
            return True

        eventually(post, limit=120, every=1)

    def mails(self, address: str, folder: str = "INBOX") -> dict[bytes, bytes]:
        """Every mail of a folder, byte for byte as IMAP gives it, with its flags."""
        imap = imaplib.IMAP4_stream(
            f"docker exec -i {self.container('dovecot')} doveadm exec imap -u {address}"
        )
        try:
            answer, count = imap.select(f'"{folder}"', readonly=True)
            if answer != "OK" or count == [b"0"]:
                return {}
            _, found = imap.fetch("1:*", "(FLAGS BODY.PEEK[])")
            pairs = [item for item in found if isinstance(item, tuple)]
            # \Recent says which session met a mail first, nothing about the mail.
            kept = {body: set(imaplib.ParseFlags(head)) - {rb"\Recent"} for head, body in pairs}
            return {body: b" ".join(sorted(flags)) for body, flags in kept.items()}
        finally:
            imap.logout()

    def subjects(self, address: str, folder: str = "INBOX") -> list[str]:
        mails = b"".join(self.mails(address, folder))
        return sorted(
            subject.decode() for subject in re.findall(rb"^Subject: (.*?)\r?$", mails, re.MULTILINE)
        )


def needed(override: Path) -> list[str]:
    """The stand-ins that an override names: as images, and as bases of builds."""
    services = yaml.safe_load(override.read_text())["services"].values()
    bases = {
        context.removeprefix("docker-image://")
        for service in services
        for context in service.get("build", {}).get("additional_contexts", {}).values()
    }
    return sorted(bases | {service["image"] for service in services if "image" in service})


def _outside(kind: str, shared: tuple[Path, ...]) -> list[str]:
    """The volumes of the container: folders of this machine, and the way to an engine."""
    places = [f"{path}:{path}" for path in shared]
    if kind == "host":
        # Volumes are folders of the host, and the engine's host is outside.
        engine = run("docker", "info", "--format", "{{.DockerRootDir}}", cwd=CONTEXT).strip()
        places += [f"{engine}/volumes:{engine}/volumes", SOCKET]
    else:
        places += ["/var/lib/docker", "/srv"]
    return [word for place in places for word in ("--volume", place)]
