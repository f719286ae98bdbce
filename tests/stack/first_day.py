"""The first day under way: the page's commands on two machines, and what a person does between them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.receiver import Receiver
from tests.stack import hosts
from tests.stack.conftest import PREFIX, TEMPLATE
from tests.stack.documents import COMPUTER, HOST, START, steps
from tests.stack.machine import Machine
from tests.stack.outside import Cloudflare, GitHub, Outside
from tests.stack.stack import clear, eventually, run

SLUG, ZONE = "mailserver", "example.com"
HDD = Path("/mnt/backup-hdd")
LOOK, SETUP = "make setup-host ARGS=--check", "make setup-host"
RELAY_KEY = "SG.relay-Key-5sD1bGjR6yU"
# What a person sends in the webmail: Roundcube hands it to Postfix in the same way.
ANSWER = """import smtplib, ssl, sys
with smtplib.SMTP(sys.argv[1], 587) as smtp:
    smtp.starttls(context=ssl._create_unverified_context())
    smtp.login("me@example.com", sys.argv[2])
    head = "From: me@example.com\\r\\nTo: a@b.example\\r\\nSubject: Re: first mail\\r\\n"
    text = head + "\\r\\nThank you.\\r\\n"
    smtp.sendmail("me@example.com", "a@b.example", text)"""

# A terminal, on which somebody answers yes to what is asked.
YES = """import os, pty, sys
def read(terminal):
    said = os.read(terminal, 65536)
    if b"[y/N]" in said:
        os.write(terminal, b"y\\n")
    return said
words = ["bash", "-euo", "pipefail", "-c", sys.argv[1]]
sys.exit(os.waitstatus_to_exitcode(pty.spawn(words, read)))"""


@dataclass
class Day:
    """The first day under way; `said` is what each block printed, `mail` where mail arrived after it."""

    machine: Machine
    repository: Path
    env: dict[str, str]
    github: GitHub
    cloudflare: Cloudflare
    outside: Outside
    receiver: Receiver
    place: Path = Path("/root")
    said: dict[str, str] = field(default_factory=dict)
    mail: dict[str, tuple[bool, frozenset[str]]] = field(default_factory=dict)

    def follow(self) -> None:
        """Every block of the page, and what a person does between them."""
        for step in steps((self.repository / START).read_text()):
            {COMPUTER: self._compute, HOST: self._host, "ini": self._fill_in, "yaml": self._edit}[step.place](
                step.text
            )
            self.mail[step.text] = self.cloudflare.mail

    def _compute(self, block: str) -> None:
        self.said[block] = run("bash", "-euo", "pipefail", "-c", block, cwd=self.repository, env=self.env)

    def _host(self, block: str) -> None:
        """In the folder in which the block before has ended, as in one session."""
        for words, act in self.acts.items():
            if words in block:
                act()
        line = f"{self.at_hand(block)}\npwd >/run/place"
        if "make edge-apply" in block:
            line = f"python3 -c {shlex.quote(YES)} {shlex.quote(line)}"
        self.said[block] = self.machine.shell(line, cwd=self.place)
        self.place = Path(self.machine.shell("cat /run/place", cwd=Path("/")).strip())
        if block == f"{SETUP}\n":
            self._after_setup()

    @property
    def acts(self) -> dict[str, Callable[[], object]]:
        """What a person or the world outside does before the block with these words."""
        return {
            "git clone": lambda: self.github.add_deploy_key(self.machine, self._last("id_ed25519.pub")),
            f"{SETUP}\n": lambda: self.said.update({LOOK: self.machine.call(LOOK).stdout}),
            "make deploy\nmake status": self.outside.certify,
            "make queue": self._answer,
        }

    def _last(self, words: str) -> str:
        """The last line that the block with these words has printed."""
        return next(said for block, said in self.said.items() if words in block).strip().splitlines()[-1]

    def at_hand(self, block: str) -> str:
        """With what a machine without the internet needs: DNS, and the API in the tunnel's place."""
        asked = f"--resolver {self.cloudflare.dns.address}"
        door = f"--door http://{self.address('mailserver-api', 'edge')}:8000" if "edge-check" in block else ""
        # Here no mail comes back from outside: the probe must say so, and is forgotten.
        probe = f"! make probe ARGS='--limit 5' && rm /srv/{SLUG}/ssd/monitor/probe.json"
        block = re.sub(r"^make probe$", probe, block, flags=re.MULTILINE)
        return re.sub(r'(make edge-check ARGS=")', rf"\1{asked} {door} ", block)

    def address(self, service: str, network: str) -> str:
        shown = f'{{{{(index .NetworkSettings.Networks "{SLUG}_{network}").IPAddress}}}}'
        return self.machine.shell(f"docker inspect -f '{shown}' $(docker compose ps -q {service})").strip()

    def _fill_in(self, lines: str) -> None:
        """Write the lines into .env, with what only the person knows."""
        known = {"the API key": RELAY_KEY, "the token": self.cloudflare.account.token}
        known |= {"the alarm URL": self.receiver.url}
        for name, _, value in (line.partition("=") for line in lines.splitlines()):
            self.write(name, known.get(value, value))

    def write(self, name: str, value: str) -> None:
        line = shlex.quote(f"{name}={value}")
        self.machine.shell(f"sed -i '/^{name}=/d' .env && printf '%s\\n' {line} >>.env")

    def _edit(self, lines: str) -> None:
        """Put the lines below `dns:`."""
        path = self.repository / "edge/edge.yml"
        text = path.read_text()
        assert text.count("\ndns:\n") == 1
        path.write_text(text.replace("\ndns:\n", f"\ndns:\n{lines}"))

    def _after_setup(self) -> None:
        """There is an engine now: give it images, and what stands in for the outside."""
        files = ["docker-compose.yml", *map(str, self.outside.bring())]
        self.write("COMPOSE_FILE", ":".join(files))

    @property
    def password(self) -> str:
        found = re.search(r"password\W+(\S{12,})", self.said[self.block("mailctl user add")])
        assert found
        return found[1]

    def block(self, words: str) -> str:
        return next(block for block in self.said if words in block)

    def _answer(self) -> None:
        words = f"{shlex.quote(ANSWER)} {self.address('postfix', 'mail')} {shlex.quote(self.password)}"
        self.machine.shell(f"python3 -c {words}")
        eventually(self.outside.sent, limit=60)


def fresh(folder: Path, base: str, github: GitHub) -> Machine:
    """What an installer leaves, with the large disk mounted; nothing of the mail server is known to it."""
    clear(f"{PREFIX}-start")
    machine = Machine.start(f"{PREFIX}-start", folder / "host", base, github.folder, kind="fresh")
    machine.repository = Path(f"/opt/{SLUG}")
    line = f"echo 'tmpfs {HDD} tmpfs defaults 0 0' >>/etc/fstab && mkdir {HDD} && mount {HDD}"
    machine.shell(line, cwd=Path("/"))
    return machine


def made(folder: Path, env: dict[str, str]) -> Path:
    """What `make new` leaves on the operator's computer."""
    answers = folder / "answers.yml"
    answers.write_text(yaml.safe_dump({"project_slug": SLUG, "mail_domain": ZONE, "timezone": hosts.MIDDAY}))
    words = ("-m", "tools.new", "--no-check", "--answers", str(answers), "--out", str(folder))
    run(sys.executable, *words, cwd=TEMPLATE, env=env)
    return folder / SLUG
