"""The database on several hosts: how it is, and how it goes on when it cannot by itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event

from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.members import NAMES, Member, ask

POLL_SECONDS, LIMIT_SECONDS = 1.0, 180.0
#: A member that is none of these has not yet found out how far it is.
KNOWN = ("waiting", "apart")


@dataclass(frozen=True)
class Plan:
    """Who founds the database again, who then joins, and who is left out."""

    founder: Member
    joining: tuple[Member, ...]
    without: tuple[str, ...]

    def lines(self) -> list[str]:
        """What it will do, in words."""
        said = [f"{self.founder.name} founds the database again: it is furthest, at {place(self.founder)}"]
        for member in self.joining:
            behind = f"at {place(member)}" if member.data else "empty"
            said.append(f"{member.name} ({behind}) joins and is sent what it lacks")
        for name in self.without:
            said.append(
                f"{name} is left out: what only it has is lost. It must not start again with its old folder"
            )
        return said


def place(member: Member) -> str:
    """How far a member is: the number of its last transaction, and of which history."""
    return f"{member.seqno} of {member.uuid[:8]}" if member.data else "no tables"


def healthy(members: Sequence[Member]) -> bool:
    """Whether all three are in it, one of them writes, and none lags."""
    return sorted(member.state for member in members) == ["member", "member", "writer"]


def plan(members: Sequence[Member], without: Sequence[str], source: str | None = None) -> Plan:
    """Who would do what. Raises Refused: it is there, somebody is missing, or two histories compete."""
    _known(("--without", *without), ("--from", *([source] if source else [])))
    if inside := [member.name for member in members if member.inside]:
        wrong = f"is there: {', '.join(inside)}; others join by themselves"
        raise Refused(Problem("the database", wrong, ".venv/bin/mailctl db status"))
    here = [member for member in members if member.name not in without]
    if missing := [member.name for member in here if member.state not in KNOWN]:
        names = " ".join(f"--without {name}" for name in missing)
        fix = f"start them, or if they are lost for good: .venv/bin/mailctl db recover {names}"
        raise Refused(Problem("the database", f"{', '.join(missing)} cannot say how far it is", fix))
    candidates = [member for member in here if member.data and source in (None, member.name)]
    if not candidates:
        fix = "start all three: with no tables anywhere a new database is founded by itself"
        raise Refused(Problem("the database", "no member that is here has tables", fix, value=source))
    if len({member.uuid for member in candidates}) > 1:
        places = "; ".join(f"{member.name} at {place(member)}" for member in candidates)
        fix = "say whose tables count, the others' are replaced: .venv/bin/mailctl db recover --from NAME"
        raise Refused(Problem("the database", f"the members have different histories: {places}", fix))
    founder = max(candidates, key=lambda member: (member.seqno, [-ord(c) for c in member.name]))
    joining = tuple(member for member in here if member is not founder)
    return Plan(founder, joining, tuple(without))


def _known(*options: tuple[str, ...]) -> None:
    for option, *names in options:
        for name in names:
            if name not in NAMES:
                raise Misuse(Problem(option, "is no member", f"one of {', '.join(NAMES)}", value=name))


def carry_out(context: Context, decided: Plan) -> list[Member]:
    """Do it, and wait until it is the database again, and who joins has joined. Raises Refused.

    The members as they then are.
    """
    founder = decided.founder
    if founder.state == "apart":
        # It runs, without a majority: it is told that it is one.
        founder.sql("SET GLOBAL wsrep_provider_options = 'pc.bootstrap=YES'")
    else:
        founder.run("touch", "/var/lib/mysql/.bootstrap")
    wanted = {founder.name, *(member.name for member in decided.joining)}
    end, pause = time.monotonic() + LIMIT_SECONDS, Event()
    while True:
        members = ask(context)
        if all(member.state in ("writer", "member") for member in members if member.name in wanted):
            return members
        if time.monotonic() > end:
            states = ", ".join(f"{member.name} {member.state}" for member in members)
            problem = Problem(
                "the database",
                f"is not whole after {LIMIT_SECONDS:.0f} seconds: {states}",
                f"docker service logs {context.project_name}_{founder.name}",
                next=".venv/bin/mailctl db status",
            )
            raise Refused(problem)
        pause.wait(POLL_SECONDS)
