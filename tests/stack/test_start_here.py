"""The page "Start here", command by command in its order: from what an installer of Debian leaves to mail in and out.

A person stands between the commands: writes the lines that the page gives, adds the deploy key, answers a mail.
Afterwards the host serves the other pages, whose commands run on it as they are written.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import dkim
import dns.resolver
import pytest
import yaml

from tests.stack import hosts
from tests.stack.conftest import PREFIX, TEMPLATE
from tests.stack.documents import (
    COMPUTER,
    DKIM,
    HOST,
    HOW,
    OF_THE_HOST,
    OF_THE_TARGET,
    OF_THE_WORKFLOWS,
    START,
    blocks,
    steps,
    tasks,
)
from tests.stack.hosts import ME
from tests.stack.machine import Machine
from tests.stack.outside import Cloudflare, GitHub, Outside, cloudflare
from tests.stack.stack import eventually, run

base, folder = hosts.base, hosts.folder
SLUG, ZONE = "mailserver", "example.com"
HDD = Path("/mnt/backup-hdd")
LOOK, SETUP = "make setup-host ARGS=--check", "make setup-host"
RELAY_KEY = "SG.relay-Key-5sD1bGjR6yU"
# What a person sends in the webmail: Roundcube hands it to Postfix in the same way.
ANSWER = """import smtplib, ssl, sys
with smtplib.SMTP(sys.argv[1], 587) as smtp:
    smtp.starttls(context=ssl._create_unverified_context())
    smtp.login("me@example.com", sys.argv[2])
    text = "From: me@example.com\\r\\nTo: a@b.example\\r\\nSubject: Re: first mail\\r\\n\\r\\nThank you.\\r\\n"
    smtp.sendmail("me@example.com", "a@b.example", text)"""


@dataclass
class Day:
    """The first day under way; `said` is what each block printed, `mail` where mail arrived after it."""

    machine: Machine
    repository: Path
    env: dict[str, str]
    github: GitHub
    cloudflare: Cloudflare
    outside: Outside
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
        if "make edge-apply" in block:  # it asks on a terminal
            line = f"script -qec {shlex.quote(f'bash -euo pipefail -c {shlex.quote(line)}')} /dev/null <<<y"
        self.said[block] = self.machine.shell(line, cwd=self.place)
        self.place = Path(self.machine.shell("cat /run/place", cwd=Path("/")).strip())
        if block == f"{SETUP}\n":
            self._after_setup()

    @property
    def acts(self):
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
        """With what a machine without the internet needs beside it: DNS, and the API in the tunnel's place."""
        asked = f"--resolver {self.cloudflare.dns.address}"
        door = f"--door http://{self.address('mailserver-api', 'edge')}:8000" if "edge-check" in block else ""
        return re.sub(r'(make edge-check ARGS=")', rf"\1{asked} {door} ", block)

    def address(self, service: str, network: str) -> str:
        shown = f'{{{{(index .NetworkSettings.Networks "{SLUG}_{network}").IPAddress}}}}'
        return self.machine.shell(f"docker inspect -f '{shown}' $(docker compose ps -q {service})").strip()

    def _fill_in(self, lines: str) -> None:
        """Write the lines into .env, with what only the person knows."""
        known = {"the API key": RELAY_KEY, "the token": self.cloudflare.account.token}
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


@pytest.fixture(scope="module")
def day(images, folder, base) -> Iterator[Day]:
    """The first day, once."""
    github = GitHub(folder / "github", SLUG)
    env = github.computer(folder / "home")
    repository = made(folder, env)
    github.folder.mkdir()
    machine = fresh(folder, base, github)
    try:
        github.open(machine)
        with cloudflare(ZONE) as account:
            machine.env = {"CLOUDFLARE_BASE_URL": account.account.url}
            outside = Outside(machine, repository, images.standins)
            day = Day(machine, repository, env, github, account, outside)
            day.follow()
            yield day
    finally:
        machine.end()
        shutil.rmtree(machine.home)


def test_check_tells_what_a_fresh_host_lacks(day):
    lacking = (
        "docker engine",
        "nftables",
        "unattended-upgrades",
        "sets the clock",
        "mailboxes/",
        ".env.example",
    )
    assert [word for word in lacking if word not in day.said[LOOK]] == []


def test_the_whole_server_is_healthy_and_the_tunnel_with_it(day):
    day.machine.healthy()
    assert len(day.machine.states()) == 12 and "cloudflared" in day.machine.states()


def test_the_first_deployment_can_be_gone_back_to(day):
    history = json.loads(day.machine.shell("mailctl history --json"))
    head = day.machine.shell("git rev-parse HEAD").strip()
    assert [one["result"] for one in history["deployments"]] == ["deployed", "deployed"]
    assert history["reach"] == [head]


def test_nothing_is_edited_on_the_host_and_git_sees_no_secret(day):
    assert day.machine.shell("git status --porcelain") == ""
    assert day.machine.shell("git add --all --dry-run") == ""
    assert RELAY_KEY in day.machine.shell("cat secrets/relay_password")


def test_the_deploy_key_cannot_push(day):
    refused = day.machine.call("git push origin HEAD:other")
    assert refused.returncode and "other" not in run("git", "branch", cwd=day.github.bare, env=day.env)


def test_mail_arrives_elsewhere_until_the_switch_and_here_after_it(day):
    before, after = (day.mail[day.block(words)] for words in ("cat secrets/usermgmt_admin", "--adopt"))
    assert not before[0] and "route1.mx.cloudflare.net" not in before[1]
    assert after[0] and before[1].isdisjoint(after[1])
    assert "Nothing to do: Cloudflare is as edge/edge.yml says" in day.said[day.block("--adopt")]


def test_the_records_of_the_relay_are_published(day):
    names = day.cloudflare.records("CNAME")
    assert names[f"em1234.{ZONE}"].endswith("sendgrid.net") and names[f"mail.{ZONE}"].endswith(
        "cfargotunnel.com"
    )


def test_the_first_mail_in_is_in_the_mailbox(day):
    said = day.said[day.block("make edge-check")]
    assert "failed" not in said and f"in the mailbox of {ME}" in said


def test_the_first_mail_out_is_at_the_relay_signed_with_a_key_that_dns_has(day):
    assert "status=sent" in day.said[day.block("make trace")] or "sent" in day.said[day.block("make trace")]
    resolver = dns.resolver.Resolver(configure=False)
    host, _, port = day.cloudflare.dns.address.partition(":")
    resolver.nameservers, resolver.port = [host], int(port)

    def record(name: bytes, timeout: int = 5) -> bytes:
        [answer] = resolver.resolve(name.decode(), "TXT", lifetime=timeout)
        return b"".join(answer.strings)

    [message] = day.outside.sent()
    raw = day.outside.raw(message).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert dkim.verify(raw, dnsfunc=record)
    assert not dkim.verify(raw.replace(b"Thank you", b"No thanks"), dnsfunc=record)


def test_the_first_backup_is_there(day):
    assert "AGE-SECRET-KEY-1" in day.said[day.block("make backup-key")]
    assert day.machine.shell(f"ls {HDD}/{SLUG}/daily").strip()


# Documents with commands, and what of them is done elsewhere: the trial is what other stack tests run in.
DOCUMENTS = (
    "docs/operations.md",
    "docs/runbooks/mail-does-not-arrive.md",
    "docs/runbooks/mail-does-not-go-out.md",
    "docs/runbooks/rotate-secrets.md",
    "docs/runbooks/service-unhealthy.md",
    "docs/runbooks/virus-scanner-down.md",
)
ELSEWHERE = ("make local",)


def test_every_document_with_commands_is_listed(day):
    root = day.repository
    found = {str(path.relative_to(root)) for path in root.glob("docs/**/*.md") if blocks(path.read_text())}
    assert found == {*DOCUMENTS, START, *OF_THE_HOST, *OF_THE_TARGET, *OF_THE_WORKFLOWS}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_of_a_document_works_as_written(day, document):
    day.machine.healthy()
    for block in blocks((day.repository / document).read_text()):
        if not any(words in block for words in ELSEWHERE):
            day.machine.shell(block)


def test_the_dkim_key_is_rotated_by_the_commands_of_its_task(day):
    [block] = blocks(tasks((day.repository / HOW).read_text())[DKIM])
    asked = f' ARGS="--resolver {day.cloudflare.dns.address}"\n'
    assert "stays for mail on its way" in day.machine.shell(block.replace("\n", asked))


def test_afterwards_a_second_setup_has_nothing_to_do(day):
    assert "Nothing to change" in day.machine.shell(LOOK)
    assert "Nothing to change" in day.machine.shell(SETUP)


def test_the_firewall_keeps_ssh_open_and_leaves_the_engines_rules_alone(day):
    rules = day.machine.shell("nft list ruleset")
    assert "tcp dport 22 accept" in rules and "policy drop" in rules and "DOCKER" in rules
    day.machine.shell(f"systemctl is-enabled {SLUG}-firewall && ssh-keyscan -T 5 localhost")


def test_a_port_that_would_be_cut_off_stops_the_setup_before_anything_changes(day):
    listens = "until ss -Htln | grep -q :8088; do :; done"
    day.machine.shell(f"systemd-run -q --unit web python3 -m http.server 8088 && {listens}")
    day.write("HOST_USER", "deploy")
    refused = day.machine.call(SETUP)
    assert refused.returncode and "8088 (python3)" in refused.stdout and "HOST_OPEN_PORTS" in refused.stdout
    assert day.machine.call("id deploy").returncode
    day.write("HOST_OPEN_PORTS", "8088")
    day.machine.shell(SETUP)
    assert "tcp dport { 22, 8088 } accept" in day.machine.shell("nft list ruleset")
    assert "json-file" in day.machine.shell("su deploy -c 'docker info --format {{.LoggingDriver}}'")
