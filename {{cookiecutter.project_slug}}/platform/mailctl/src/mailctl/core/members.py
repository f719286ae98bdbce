"""The three members of the database on several hosts: their containers, what each says of itself."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mailctl.core import hosts
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

NAMES = ("mariadb-1", "mariadb-2", "mariadb-3")
#: Of a member that is in the database; the others are not, or cannot say.
IN_IT = ("writer", "member", "joining")
#: In a member's folder: whose it is (config/mariadb/member/start.sh). The user of its container.
SIGN, OWNER = ".member", 999
STATE, ASK = ("sh", "/usr/local/bin/member-state"), ("sh", "/usr/local/bin/ask-member")
ROOT = (
    "MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) exec mariadb --protocol=socket --skip-ssl"
    ' --user=root --batch --skip-column-names --execute="$1"'
)
#: NAME STATE DATA UUID SEQNO
WORDS = 5
#: A member that is busy answers another one late, which waits for four seconds.
TRIES = 3
SECONDS = 30.0


@dataclass(frozen=True)
class Member:
    """A member's word for itself (config/mariadb/member/state.sh says what each means) and how far it is.

    `host` is the engine that has its container, "" for the one here. `container` is "" when none has, and
    when it is not known: another member was asked for its word.
    """

    name: str
    host: str = ""
    container: str = ""
    state: str = "absent"
    data: bool = False
    uuid: str = "-"
    seqno: int = -1

    @property
    def inside(self) -> bool:
        """Whether it is in the database."""
        return self.state in IN_IT

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def run(self, *words: str) -> str:
        """What a command in its container printed. Raises Refused with its own words."""
        if not self.container:
            wrong = f"its host takes no commands from this one ({self.host or 'nodes.yml names none'})"
            raise Refused(Problem(self.name, wrong, "run it on that host", value=words[0]))
        command = [*_engine(self.host), "exec", self.container, *words]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            wrong, code = f"no answer after {SECONDS:.0f} seconds", 1
        else:
            wrong, code = " ".join(done.stderr.split())[-300:], done.returncode
        if code:
            raise Refused(
                Problem(self.name, f"did not do it: {wrong}", ".venv/bin/mailctl db status", value=words[0])
            )
        return done.stdout

    def sql(self, statement: str) -> str:
        """What root is told there, one row a line."""
        return self.run("sh", "-c", ROOT, "sh", statement)


def ask(context: Context) -> list[Member]:
    """All three: those of this host, then the others by one of these, or each where it is.

    Who cannot be reached is `absent`.
    """
    project, addresses = context.project_name, _addresses(context)
    here = {name: _there(project, name, "") for name in NAMES}
    asker = next((one.container for one in here.values() if one), "")
    with ThreadPoolExecutor(len(NAMES)) as pool:
        return list(
            pool.map(lambda name: here[name] or _ask(project, name, addresses.get(name, ""), asker), NAMES)
        )


def local(context: Context) -> Member | None:
    """The member of this host; None: it has none, or the server has one host alone."""
    row = hosts.here(context) or {}
    name = f"mariadb-{row.get('database')}"
    return _there(context.project_name, name, "") or Member(name) if row.get("database") else None


def _ask(project: str, name: str, address: str, asker: str) -> Member:
    """One that is not here. Its container is looked for when nobody knows its word, or it must be told."""
    host = f"ssh://{address}" if address else ""
    said: list[str] = []
    for _ in range(TRIES if asker else 0):
        said = said or _printed(["docker", "exec", asker, *ASK, name]).split()
    told = _word(name, host, "", said)
    return told if told.inside or not host else _there(project, name, host) or told


def _there(project: str, name: str, host: str) -> Member | None:
    """What the member says in its own container on a host; None: that has none, or cannot be reached."""
    label = f"label=com.docker.swarm.service.name={project}_{name}"
    found = _printed([*_engine(host), "ps", "--quiet", "--filter", label]).split()
    if not found:
        return None
    said = _printed([*_engine(host), "exec", found[0], *STATE]).split()
    return _word(name, host, found[0], said)


def _word(name: str, host: str, container: str, said: Sequence[str]) -> Member:
    if len(said) != WORDS or said[0] != name:
        return Member(name, host, container, "starting" if container else "absent")
    return Member(name, host, container, said[1], said[2] == "1", said[3], int(said[4]))


def one_of(context: Context) -> str:
    """The container of a member on this host that is in the database. Raises Refused when there is none."""
    return _here(context).container


def _here(context: Context) -> Member:
    """A member on this host that has everything, one that does not write if possible."""
    here = [member for member in ask(context) if member.state in ("writer", "member") and not member.host]
    if not here:
        fix = "run it on a host whose member is in it: .venv/bin/mailctl db status"
        raise Refused(Problem("the database", "no member on this host is in it", fix))
    return min(here, key=lambda member: member.state == "writer")


@contextmanager
def source(context: Context) -> Iterator[str]:
    """The container of a member on this host to take a dump from; the others are not slowed down by it.

    Raises Refused when no member here is in the database.
    """
    chosen = _here(context)
    if chosen.state == "writer":
        # It is the one that everybody waits for: it is not set aside.
        yield chosen.container
        return
    chosen.sql("SET GLOBAL wsrep_desync = ON")
    try:
        yield chosen.container
    finally:
        chosen.sql("SET GLOBAL wsrep_desync = OFF")


def begin(folder: Path, name: str) -> bool:
    """Make an empty folder a member's own; False: it is already. Raises Refused: it is no empty one."""
    sign = folder / SIGN
    if not folder.is_dir():
        fix = "mount the disk; on a new host: make setup"
        raise Refused(Problem("the folder of the database", "is not there", fix, value=str(folder)))
    found = sign.read_text("utf-8").strip() if sign.is_file() else ""
    if found == name:
        return False
    if found:
        wrong, fix = f"is the folder of {found}", "use an empty folder, or correct nodes.yml"
        raise Refused(Problem("disk", wrong, fix, value=str(folder)))
    if any(each.name != "lost+found" for each in folder.iterdir()):
        wrong = "is not empty, and does not say of which member it is"
        fix = f"use an empty folder; the tables of a single host become those of all by: echo {name} > {sign}"
        raise Refused(Problem("disk", wrong, fix, value=str(folder)))
    try:
        os.chown(folder, OWNER, OWNER)
    except PermissionError:
        raise Refused(Problem(name, "its folder must belong to user 999", "run this as root")) from None
    sign.write_text(f"{name}\n", "utf-8")
    sign.chmod(0o644)
    return True


def _addresses(context: Context) -> dict[str, str]:
    """Where the host of each member is, as nodes.yml says."""
    return {
        f"mariadb-{row['database']}": str(row["address"])
        for row in hosts.rows(context)
        if row.get("database")
    }


def _engine(host: str) -> list[str]:
    return ["docker", *(["--host", host] if host else [])]


def _printed(command: list[str]) -> str:
    """What a command printed; nothing when it failed or took too long."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False).stdout
    except subprocess.TimeoutExpired:
        return ""
