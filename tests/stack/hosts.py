"""Hosts for tests: the operator's repository elsewhere, and the running server on its first host."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from tests.stack.conftest import PREFIX, TEMPLATE
from tests.stack.documents import HOW, blocks, tasks
from tests.stack.machine import Machine
from tests.stack.stack import clear, eventually, run
from tools import standins

PROJECT = f"{PREFIX}-host"
ME = "me@example.com"
# A time zone in which it is midday: no timer of the hosts goes off while they are tested, and no day ends.
MIDDAY = f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
MAIL = "From: a@b.example\r\nTo: me@example.com\r\nSubject: {}\r\nMessage-ID: <{}@b.example>\r\n\r\nhello\r\n"
ACCOUNT = """printf %s '{"domains": [{"name": "example.com"}], "mailboxes": [{"email": "me@example.com",
  "password": "a-Password-of-mine-1", "quota": "2G", "display_name": "Me"}]}' |
  docker compose exec -T usermgmt usermgmt ensure"""


def gateway() -> str:
    """Where containers reach this machine."""
    shown = ("--format", "{{(index .IPAM.Config 0).Gateway}}")
    return run("docker", "network", "inspect", "bridge", *shown, cwd=TEMPLATE).strip()


def send(machine: Machine, *subjects: str) -> None:
    """Deliver mails, and wait until the reader has them."""
    for subject in subjects:
        machine.deliver(ME, MAIL.format(subject, subject.replace(" ", ".")).encode())
    eventually(lambda: set(subjects) <= set(machine.subjects(ME)), limit=60)


def text_of(machine: Machine, document: str) -> str:
    """A document, with this host's disks in place of the answered ones."""
    text = (machine.repository / document).read_text()
    for answered, own in ((f"/srv/{PROJECT}/ssd", machine.ssd), (f"/mnt/backup-hdd/{PROJECT}", machine.hdd)):
        text = text.replace(answered, str(own))
    return text


def commands(machine: Machine, document: str) -> list[str]:
    """The commands of a document."""
    return blocks(text_of(machine, document))


def follow(machine: Machine, document: str) -> str:
    """Execute every command of a document, and return all that was said."""
    return "".join(machine.shell(block) for block in commands(machine, document))


def do(machine: Machine, task: str) -> str:
    """Execute the commands of one task of the page "How do I …?", and return all that was said."""
    return "".join(machine.shell(block) for block in blocks(tasks(text_of(machine, HOW))[task]))


@pytest.fixture(scope="module")
def base(images) -> str:
    """What the host's image starts from."""
    return "standin/debian:trixie-slim" if images.standins else "debian:trixie-slim"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """The hosts' disks. Not below /tmp, which the units do not see: they have one of their own."""
    with tempfile.TemporaryDirectory(dir="/srv", prefix=f"{PROJECT}-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def origin(folder) -> Path:
    """The operator's git repository, elsewhere: the defaults, committed."""
    work = folder / "work"
    cookiecutter(str(TEMPLATE), no_input=True, extra_context={"project_slug": PROJECT}, output_dir=str(work))
    identity = ("-c", "user.name=operator", "-c", "user.email=operator@example.com")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*identity, "commit", "-qm", "first")):
        run("git", *words, cwd=work / PROJECT)
    run("git", "clone", "-q", "--bare", str(work / PROJECT), str(folder / "origin.git"), cwd=folder)
    shutil.rmtree(work)
    return folder / "origin.git"


def new_host(folder: Path, number: int, base: str, origin: Path, standin: bool) -> Machine:
    """A machine with nothing but the clone of the repository, and the disks of its own in .env."""
    machine = Machine.start(f"{PROJECT}-{number}", folder / f"host{number}", base, origin)
    try:
        machine.shell(f"git clone -q {origin} {machine.repository}", cwd=machine.home)
        machine.shell("cp .env.example .env")
        machine.setting(SSD_PATH=machine.ssd, HDD_PATH=machine.hdd, ADMIN_EMAIL=ME, TZ=MIDDAY)
        if standin:
            override = shutil.copy(standins.override(machine.repository), machine.home / "standins.yml")
            machine.env = {"COMPOSE_FILE": f"{machine.repository}/docker-compose.yml:{override}"}
            machine.shell('systemctl set-environment COMPOSE_FILE="$COMPOSE_FILE"')
    except BaseException:
        machine.end()
        raise
    return machine


@pytest.fixture(scope="module")
def host(images, folder, base, origin) -> Iterator[Machine]:
    """The running server on its first host, with one account and two mails."""
    clear(PROJECT)
    machine = new_host(folder, 1, base, origin, images.standins)
    try:
        machine.shell("make setup")
        machine.shell("make deploy")
        machine.shell(ACCOUNT)
        send(machine, "first", "second")
        yield machine
    finally:
        machine.call("docker compose down --volumes --remove-orphans --timeout 5")
        machine.end()


@pytest.fixture(scope="module")
def timers(host) -> Machine:
    """The host after `make setup-host`."""
    host.shell("make setup-host")
    # It has neither a way to the world nor a clock of its own, and the monitor says so.
    for id in ("resolver", "dns", "clock", "unknown"):
        host.shell(f"mailctl alarm silence {id} --for 7d")
    return host
