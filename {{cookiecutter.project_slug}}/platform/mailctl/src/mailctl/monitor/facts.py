"""What the conditions look at. Each thing is asked once in a run, and only when a condition wants it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from subprocess import SubprocessError
from typing import TYPE_CHECKING, Any, TypeVar

from mailctl.core import containers, hosts, log_lines, mail_queue
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    from mailctl.core.engine import ContainerState
    from mailctl.core.log_lines import LogLine
    from mailctl.core.mail_queue import Waiting
    from mailctl.core.runtime import Runtime

T = TypeVar("T")
#: What "cannot be asked" looks like: the condition is unknown then. (Errors of HTTP calls are OSErrors.)
UNANSWERED: tuple[type[Exception], ...] = (
    Refused,
    OSError,
    SubprocessError,
    ValueError,
    LookupError,
    TypeError,
)
EXEC_SECONDS = 20
# After a pause the log is looked through from where the last run ended, but not further back than this.
LOG_SECONDS = 86400
# The queue, and whether Postfix finds the database and the relay: one command in its container.
ASK_POSTFIX = """postqueue -j && echo ---
timeout 5 postmap -q "$0" mysql:/run/postfix/sql/domains.cf 2>&1 >/dev/null; echo "lookup $?"
relay=$(postconf -hx relayhost | sed -n 's/^\\[\\([^]]*\\)].*/\\1/p')
test -z "$relay" || timeout 5 getent hosts "$relay" >/dev/null; echo "resolves $? $relay\""""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong; `key` tells several of one condition apart."""

    text: str
    key: str = ""


@dataclass
class Postfix:
    """The queue; why the database could not be asked ("" : it could); whether the relay's name resolves."""

    queue: list["Waiting"]
    lookup: str
    resolves: bool
    relay: str


@dataclass
class Facts:
    """`now` may be another time than the clock's in tests; `memory` outlives a run; `server` is None while
    the engine does not answer, for the reason in `problem`.
    """

    context: Context
    server: "Runtime | None"
    memory: dict[str, Any]
    now: float
    problem: str = ""
    local: bool = False
    statvfs: Callable[[str], os.statvfs_result] = os.statvfs
    #: Errors after which a condition is unknown.
    unanswered: tuple[type[Exception], ...] = UNANSWERED
    _kept: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, ask: Callable[[], T]) -> T:
        """The answer, or the error, of the first time."""
        if name not in self._kept:
            try:
                self._kept[name] = ask()
            except self.unanswered as error:
                self._kept[name] = error
        if isinstance(found := self._kept[name], Exception):
            raise found
        return found  # type: ignore[no-any-return]

    def answered(self, name: str, otherwise: Any) -> Any:
        """What was asked in this run already, if it was answered."""
        found = self._kept.get(name)
        return otherwise if found is None or isinstance(found, Exception) else found

    @property
    def engine(self) -> "Runtime":
        if self.server is None:
            raise Refused(Problem("docker engine", self.problem, "systemctl status docker"))
        return self.server

    @property
    def containers(self) -> "dict[str, ContainerState]":
        """One call of the engine's list: each service that has a container."""
        return self.once("containers", lambda: self.engine.running())

    @cached_property
    def expected(self) -> list[str]:
        """The services of docker-compose.yml whose profile is on; of several hosts, those that are here."""
        import yaml

        on = set(self.context.setting("COMPOSE_PROFILES").split(","))
        found = yaml.safe_load((self.context.repo / "docker-compose.yml").read_text("utf-8"))["services"]
        wanted = [name for name, one in found.items() if not one.get("profiles") or on & set(one["profiles"])]
        # Of several hosts: where a service has to run is the leader's to say (cluster.py).
        several = hosts.several(self.context)
        return [name for name in wanted if name in self.containers] if several else wanted

    def inside(self, service: str, *words: str) -> str:
        """What a command in a service's container printed. Raises Refused."""
        container = containers.chosen(self.containers, service, self.engine.project)
        return containers.output(container, *words, limit=EXEC_SECONDS).decode("utf-8", "replace")

    @property
    def postfix(self) -> Postfix:
        return self.once("postfix", self._postfix)

    def _postfix(self) -> Postfix:
        said = self.inside("postfix", "sh", "-c", ASK_POSTFIX, self.context.setting("MAIL_DOMAIN"))
        listed, mark, rest = said.rpartition("---\n")
        if not mark:
            raise Refused(Problem("postqueue", "does not list the queue", "make logs SERVICE=postfix"))
        *words, lookup, relay = rest.strip().split("\n")
        _, code, *name = relay.split(" ")
        failed = lookup not in ("lookup 0", "lookup 1") or bool(words)
        found = sorted(mail_queue.read(listed), key=lambda one: one.arrived)
        wrong = " ".join(words) or "no answer within 5 s"
        return Postfix(found, wrong if failed else "", code == "0", name[0] if name else "")

    @property
    def lines(self) -> "list[LogLine]":
        """What Postfix and rspamd wrote since the last run."""
        return self.once("lines", self._lines)

    def _lines(self) -> "list[LogLine]":
        # The time of the lines is the engine's, so this is the clock's time whatever `now` is.
        until = time.time()
        since = max(self.memory.get("read_until", until - 60), until - LOG_SECONDS)
        found = self.log(("postfix", "rspamd"), since)
        self.memory["read_until"] = until
        return [line for line in found if since <= line.at.timestamp() < until]

    def log(self, names: tuple[str, ...], since: float) -> "list[LogLine]":
        wanted = [self.containers[name] for name in names if name in self.containers]
        return log_lines.read(self.engine.engine, wanted, since, tail=0)

    def counted(self, name: str, new: int, window: float) -> int:
        """How often something was seen within the last `window` seconds, `new` times of these in this run."""
        seen = self.memory.setdefault("counts", {}).setdefault(name, [])
        seen[:] = [at for at in seen if at > self.now - window][-1000:] + [self.now] * min(new, 1000)
        return len(seen)
