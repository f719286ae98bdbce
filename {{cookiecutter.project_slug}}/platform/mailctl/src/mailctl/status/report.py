"""Asks everybody at once how the server is: engine, compose, Postfix, git, disks and the records of jobs."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from mailctl import __version__
from mailctl.core import hosts, mail_log, probe_record, second_copy
from mailctl.core.checklist import FAILED, WARNING, Line
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.job_ages import Age, ages
from mailctl.core.mail_queue import Waiting, waiting
from mailctl.core.monitoring import read
from mailctl.core.runtime import Runtime
from mailctl.core.stack_state import Disk, ServiceState, arranged, disk, measured, services
from mailctl.secret_files import sealed
from mailctl.secret_files.inspect import Finding, inspect
from mailctl.status import findings
from mailctl.status.git import Position, drift, position
from mailctl.status.hosts import Host, listed

# Of Postfix's log so many lines are looked through for the last mails.
LOG_LINES = 3000
# What rspamd counts beside its words (classifier-bayes.conf): mails learned as spam, and as wanted.
LEARNED = (
    'REDISCLI_AUTH="$(sed -n "s/^requirepass //p" /run/secrets/valkey_auth)"'
    " valkey-cli --raw hmget RS learns_spam learns_ham"
)


@dataclass(frozen=True)
class Report:
    """How the server is. `waiting` is None where Postfix did not say; mails' times are epoch seconds."""

    project: str
    states: list[ServiceState]
    position: Position
    drift: dict[str, str]
    waiting: list[Waiting] | None
    mails: dict[str, float | None]
    disks: list[Disk]
    ages: list[Age]
    secrets: list[Finding]
    lines: list[Line]
    #: Of several: the services above are those of this one.
    hosts: list[Host] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        whole = all(state.ok for state in self.states) and all(host.ok for host in self.hosts)
        return whole and all(line.mark != FAILED for line in self.lines)

    def as_dict(self) -> dict[str, Any]:
        dated = [one for one in self.secrets if one.expires_days is not None]
        return {
            "ok": self.ok,
            "project": self.project,
            "mailctl": __version__,
            "git": self.position.as_dict(),
            "drift": self.drift,
            "services": [state.as_dict() for state in self.states],
            "queue": _queue(self.waiting),
            "mails": self.mails,
            "disks": [one.as_dict() for one in self.disks],
            "backups": [age.as_dict() for age in self.ages],
            "certificates": {one.name: one.expires_days for one in dated},
            "secrets": [
                {"name": one.name, "age_days": one.age_days, "due": one.due, "failed": one.failed}
                for one in self.secrets
                if one.rotate_days or one.failed
            ],
            "lines": [line.as_dict() for line in self.lines],
            **({"hosts": [one.as_dict() for one in self.hosts]} if self.hosts else {}),
        }


def report(context: Context, runtime: Runtime, local: bool) -> Report:
    """Raises Refused when the engine or compose does not answer; all else that fails becomes a line."""
    project, engine = context.project_name, runtime.engine
    with ThreadPoolExecutor() as pool:
        described = pool.submit(runtime.services, context.repo)
        several = hosts.several(context)
        # Of several hosts, what runs here; the others are rows of a table.
        there = [ServiceState(name, one) for name, one in runtime.running().items()] if several else None
        measuring = pool.submit(
            lambda: measured(engine, services(engine, project, ()) if there is None else there)
        )
        every = pool.submit(listed, context)
        queue, seen = pool.submit(_waiting, runtime), pool.submit(_mails, runtime)
        learned = pool.submit(_learned, runtime)
        where, secrets = pool.submit(position, context), pool.submit(_secrets, context)
        wanted = described.result()
        differing = pool.submit(lambda: {} if several else drift(context, runtime, wanted))
        states = [
            replace(state, pinned=wanted[state.service].image if state.service in wanted else None)
            for state in arranged(measuring.result(), () if several else wanted)
        ]
        disks = [disk(n, context.folder(n, "")) for n in ("SSD_PATH", "HDD_PATH") if context.setting(n)]
        jobs = [] if local else ages(context)
        lines = [
            *findings.of_commit(where.result(), local),
            *([] if several else findings.of_drift(differing.result())),
            *findings.of_queue(queue.result()),
            *findings.of_mails(seen.result()),
            *findings.of_learned(learned.result()),
            *([] if local else findings.of_monitor(read(context, "state"), read(context, "memory"))),
            *findings.of_disks(disks),
            *findings.of_ages(jobs),
            *([] if local else second_copy.lines(context)),
            *([] if local else _probe(context)),
            *findings.of_certificates(secrets.result()),
            *findings.of_secrets(secrets.result()),
            *([] if local else _sealed(context)),
        ]
    got = (queue.result(), seen.result(), disks, jobs, secrets.result())
    return Report(project, states, where.result(), differing.result(), *got, lines, every.result())


def _probe(context: Context) -> list[Line]:
    try:
        return findings.of_probe(probe_record.read(context), probe_record.every(context)[0])
    except Refused as refusal:
        return [Line("probe", WARNING, str(refusal), refusal.problems[0].fix)]


def _waiting(runtime: Runtime) -> list[Waiting] | None:
    try:
        return waiting(runtime)
    except (Refused, OSError):
        return None


def _learned(runtime: Runtime) -> tuple[int, int] | None:
    """How many mails the filter has learned as spam, and as wanted."""
    try:
        tls = "valkey-cli --tls --cacert /run/secrets/internal_ca_crt"
        ask = LEARNED.replace("valkey-cli", tls) if hosts.several(runtime.context) else LEARNED
        spam, wanted = runtime.inside("valkey", ["sh", "-c", ask]).splitlines()[:2]
        return int(spam or 0), int(wanted or 0)
    except (Refused, OSError, ValueError):
        return None


def _mails(runtime: Runtime) -> dict[str, float | None]:
    """When the last mail arrived in a mailbox, and when the relay took the last one."""
    times: dict[str, float | None] = {"arrived": None, "sent": None}
    words = {mail_log.DELIVERED: "arrived", mail_log.SENT: "sent"}
    for line in runtime.lines(["postfix"], tail=LOG_LINES):
        for step in mail_log.steps(line):
            if step.decided in words:
                times[words[step.decided]] = line.at.timestamp()
    return times


def _secrets(context: Context) -> list[Finding]:
    """All secret files, for those who may look into their folder."""
    folder = context.folder("SECRETS_DIR", "secrets")
    return list(inspect(context, folder).findings) if os.access(folder, os.R_OK | os.X_OK) else []


def _sealed(context: Context) -> list[Line]:
    """For those who may look into the folder."""
    if not sealed.on(context) or not _secrets(context):
        return []
    try:
        return findings.of_sealed(sealed.differing(context))
    except Refused as refusal:
        return [Line("sealed", WARNING, str(refusal), refusal.problems[0].fix)]


def _queue(mails: list[Waiting] | None) -> dict[str, Any] | None:
    if mails is None:
        return None
    counts = {name: sum(mail.queue == name for mail in mails) for name in ("deferred", "hold")}
    oldest = int(time.time() - mails[0].arrived) if mails else None
    return {"count": len(mails), **counts, "oldest_seconds": oldest}
