"""What is said of each part of the server: a line with a mark, and what to do where it is not in order.

Failed: mail or its backups are in danger now. A warning: it will be, or somebody should look.
"""

import time
from collections.abc import Iterable
from typing import Any

from mailctl import __version__
from mailctl.core.checklist import FAILED, OK, WARNING, Line
from mailctl.core.format import duration, size
from mailctl.core.job_ages import Age
from mailctl.core.mail_queue import DEFERRED, HELD, LATE_SECONDS, ON_ITS_WAY_SECONDS, Waiting
from mailctl.core.stack_state import Disk
from mailctl.secret_files import sealed
from mailctl.secret_files.certificates import RENEW_DAYS
from mailctl.secret_files.inspect import Finding
from mailctl.status.git import Position

DISK_WARNING_PERCENT, DISK_FAILED_PERCENT = 85, 97
NAMED = 5
# Before that rspamd's Bayes filter says nothing (min_learns of its statistic.conf).
LEARNED_LEAST = 200
# A probe may take its time or be left out once.
PROBES_MISSED = 3
# The timer looks every minute; the Worker alarms from here on as well.
MONITOR_SECONDS = 600


def of_commit(found: Position, local: bool) -> list[Line]:
    if found.head is None:
        fix = "" if local else "git init; git add -A; git commit -m first"
        wrong = f"mailctl {__version__}; this folder is no git repository, so nothing can be compared"
        return [Line("commit", OK if local else WARNING, wrong, fix)]
    lines = [Line("commit", OK, f"{found.head[:12]} {found.subject}; mailctl {__version__}")]
    if found.edited:
        fix = (
            "commit and push them from your own machine; git status shows them, git checkout -- . drops them"
        )
        lines.append(Line("edited", WARNING, f"git does not have: {_some(found.edited)}", fix))
    if found.deployed:
        ago = f"{duration(time.time() - (found.deployed_at or 0))} ago"
        if found.deployed == found.head:
            lines.append(Line("deployed", OK, f"this commit, {ago}"))
        else:
            lines.append(Line("deployed", WARNING, f"{found.deployed[:12]}, {ago}", "make deploy"))
    if found.behind:
        text = f"{found.upstream} has {found.behind} commits more"
        lines.append(Line("upstream", WARNING, text, f"make deploy REF={found.upstream}"))
    return lines


def of_drift(differing: dict[str, str]) -> list[Line]:
    if not differing:
        return [Line("drift", OK, "none: what runs is what this folder describes")]
    by_reason: dict[str, list[str]] = {}
    for name, reason in differing.items():
        by_reason.setdefault(reason, []).append(name)
    fix = "make deploy ARGS=--dry-run shows what would be recreated; make deploy does it"
    return [Line("drift", WARNING, f"{_some(names)}: {why}", fix) for why, names in by_reason.items()]


def of_queue(mails: list[Waiting] | None) -> list[Line]:
    if mails is None:
        return [
            Line(
                "queue",
                WARNING,
                "not known: Postfix did not answer",
                "make status; make logs SERVICE=postfix",
            )
        ]
    late = [mail for mail in mails if mail.queue != HELD]
    held = len(mails) - len(late)
    if not mails:
        return [Line("queue", OK, "empty")]
    oldest = f", the oldest for {duration(late[0].seconds)}" if late else ""
    text = f"{len(late)} waiting{oldest}{f', {held} held by hand' if held else ''}"
    if late and late[0].seconds > LATE_SECONDS:
        return [Line("queue", FAILED, text, "make queue shows why; docs/runbooks/mail-does-not-go-out.md")]
    waits = held or any(mail.queue == DEFERRED or mail.seconds > ON_ITS_WAY_SECONDS for mail in late)
    return [Line("queue", WARNING if waits else OK, text, "make queue shows why each of them waits")]


def of_mails(times: dict[str, float | None]) -> list[Line]:
    said = [f"last {word} {duration(time.time() - at)} ago" for word, at in times.items() if at]
    return [Line("mail", OK, ", ".join(said) or "none since Postfix was recreated")]


def of_learned(learned: tuple[int, int] | None) -> list[Line]:
    """What people and very clear verdicts have taught the filter; nothing where Valkey does not answer."""
    if learned is None:
        return []
    few = min(learned) < LEARNED_LEAST
    waits = f"; it counts from {LEARNED_LEAST} of each on" if few else ""
    return [Line("learned", OK, f"{learned[0]} mails as spam, {learned[1]} as wanted{waits}")]


def of_monitor(state: dict[str, Any], memory: dict[str, Any]) -> list[Line]:
    """When the monitor last ran, and what it has open."""
    if not state:
        return [Line("monitor", WARNING, "has never run: nobody hears of an outage", "make setup-host")]
    age = time.time() - state["at"]
    mark, fix = (OK, "") if age < MONITOR_SECONDS else (FAILED, "systemctl list-timers; make setup-host")
    unsent = memory.get("outbox", [])
    waits = f"; {len(unsent)} alarms could not be sent yet: {unsent[-1]['said']}" if unsent else ""
    if unsent and mark == OK:
        mark, fix = WARNING, "make alarm-test"
    lines = [Line("monitor", mark, f"ran {duration(age)} ago{waits}", fix)]
    if found := state["incidents"]:
        worst = any(one["severity"] == "critical" for one in found)
        text = "; ".join(f"{one['id']} for {duration(time.time() - one['since'])}" for one in found)
        fix = ".venv/bin/mailctl alarm list; docs/monitoring.md"
        lines.append(Line("incidents", FAILED if worst else WARNING, text, fix))
    return lines


def of_disks(disks: list[Disk]) -> list[Line]:
    lines = []
    for one in disks:
        if one.used_percent is None:
            fix = "mount it: docs/runbooks/disk-not-there.md; on a new host: make setup"
            lines.append(Line(one.setting, FAILED, f"{one.path} does not exist", fix))
            continue
        text = f"{one.used_percent}% used, {size(one.free)} of {size(one.total)} free ({one.path})"
        mark = FAILED if one.used_percent >= DISK_FAILED_PERCENT else OK
        mark = WARNING if DISK_WARNING_PERCENT <= one.used_percent < DISK_FAILED_PERCENT else mark
        lines.append(Line(one.setting, mark, text, "make room: docs/how-do-i.md"))
    return lines


def of_ages(jobs: list[Age]) -> list[Line]:
    """A job that never ran is a new host; one that has stopped to end well is a danger."""
    lines = []
    for age in jobs:
        text = f"last good {duration(age.seconds)} ago" if age.seconds is not None else "last good: never"
        if age.failed:
            lines.append(Line(age.what, FAILED, f"{text}; the last one failed", age.limit.repair))
        elif age.late:
            limit = "" if age.seconds is None else f"; should be at most {duration(age.limit.seconds)}"
            mark = FAILED if age.seconds is not None else WARNING
            lines.append(Line(age.what, mark, text + limit, age.limit.repair))
        else:
            lines.append(Line(age.what, OK, text))
    return lines


def of_probe(last: dict[str, Any] | None, every: int) -> list[Line]:
    """`every` is the timer's interval in seconds, 0 when it is off."""
    if not last:
        return [Line("probe", WARNING if every else OK, "none was ever sent", "make probe")]
    age = time.time() - last["at"]
    retry = f"; {last['retry_text']}" if last.get("retry_text") else ""
    text = f"{duration(age)} ago, {last['text']}{retry}"
    if not last["ok"]:
        return [Line("probe", FAILED, text, last["fix"])]
    if every and age > PROBES_MISSED * every:
        late = f"{text}; the timer should have sent another one"
        return [Line("probe", WARNING, late, "make setup-host; make probe")]
    return [Line("probe", OK, text)]


def of_certificates(secrets: list[Finding]) -> list[Line]:
    dated = [(one.expires_days, one) for one in secrets if one.expires_days is not None]
    ending = [(days, one) for days, one in dated if days < RENEW_DAYS]
    lines = [
        Line(
            "certificates",
            FAILED if days < 0 else WARNING,
            f"{one.name} has {days} days left",
            one.todo or "",
        )
        for days, one in ending
    ]
    if dated and not ending:
        lines.append(Line("certificates", OK, f"at least {min(days for days, _ in dated)} days left"))
    return lines


def of_secrets(secrets: list[Finding]) -> list[Line]:
    plain = [one for one in secrets if one.expires_days is None]
    lines = []
    if failed := [one for one in plain if one.failed]:
        lines.append(
            Line("secrets", FAILED, f"unusable: {_some(one.name for one in failed)}", failed[0].todo or "")
        )
    due = [one for one in plain if one.rotate_days and (one.age_days or 0) > one.rotate_days]
    if due:
        fix = ".venv/bin/mailctl secrets status says how; docs/runbooks/rotate-secrets.md"
        lines.append(Line("secrets", WARNING, f"rotation is due: {_some(one.name for one in due)}", fix))
    if plain and not lines:
        dates = sorted((one.due, one.name) for one in plain if one.due)
        next_one = f"; next rotation {dates[0][0]} ({dates[0][1]})" if dates else ""
        lines.append(Line("secrets", OK, f"{len(plain)} in order{next_one}"))
    return lines


def of_sealed(differing: dict[str, str]) -> list[Line]:
    """Where the secret files and those in git have come apart."""
    if not differing:
        return [Line("sealed", OK, "git has every secret as it is here")]
    by_state: dict[str, list[str]] = {}
    for name, state in differing.items():
        by_state.setdefault(state, []).append(name)
    fix = {sealed.GIT: "make deploy", sealed.BOTH: f"{sealed.OPEN} --force, or seal --force"}
    return [
        Line("sealed", WARNING, f"{state}: {_some(names)}", fix.get(state, sealed.SEAL))
        for state, names in by_state.items()
    ]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")
