"""The restore itself: prepare beside, stop, exchange, start, read back; and what is done after a crash."""

import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from mailctl.backup.restore import journal as phases
from mailctl.backup.restore.journal import Journal, Swap
from mailctl.backup.restore.prepare import places, prepare, scratch, scratch_home
from mailctl.backup.restore.readback import ReadBack, read_back
from mailctl.core.compose import Compose
from mailctl.core.containers import running
from mailctl.core.context import Context
from mailctl.core.database import query
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets
from mailctl.core.snapshots import Snapshot

# Which services hold what is replaced; none named: all of them, as every service reads settings or secrets.
HOLDERS = {
    "mail": ["dovecot"],
    "mysql": ["mariadb"],
    "dkim": ["rspamd"],
    "learned": ["valkey", "rspamd"],
    "groupware": ["radicale"],
}
# A virus scanner that starts for the first time downloads its signatures.
WAIT_SECONDS = "1800"
ACTIVE = """SELECT m.email, COALESCE(m.home, CONCAT(d.name, '/', SUBSTRING_INDEX(m.email, '@', 1)))
FROM mailboxes m JOIN domains d ON d.id = m.domain_id
WHERE m.active AND d.active AND m.deleted_at IS NULL"""


def restore(
    context: Context,
    snapshot: Snapshot,
    components: Sequence[str],
    identities: list[str],
    leave_out: Iterable[str] = (),
    erased: bool = False,
) -> dict[str, Any]:
    """Replace the components by the snapshot's. Raises Refused; until the exchange nothing is touched."""
    began = time.monotonic()
    id = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    place = places(context, components, id)
    journal = Journal(Journal.at(context), id, snapshot.id, list(components), services=_holders(components))
    journal.leftovers = [str(one.staged) for one in place.values()]
    if "mysql" in place:
        journal.leftovers.append(str(scratch_home(context, id)))
    journal.write()
    try:
        for step in prepare(context, snapshot, components, place, identities, leave_out, erased):
            context.out.note(f"preparing: {step}")
        os.sync()
        journal.swaps = [Swap.of(one.live, one.staged, one.former) for one in place.values()]
        journal.write()
        _stop(context, journal)
    except BaseException:
        _take_back(context, journal)
        raise
    journal.enter(phases.SWAPPING)
    finish(context, journal)
    found = _read_back(context, snapshot) if "mail" in components else ReadBack()
    seconds = round(time.monotonic() - began, 1)
    return {"seconds": seconds, "kept": [str(path) for path in journal.kept], **found.as_dict()}


def finish(context: Context, journal: Journal) -> None:
    """Carry an exchange to its end and start the services."""
    context.out.note("exchanging what was prepared with what is live")
    try:
        journal.forward()
    except Refused:
        journal.backward()
        phases.remove(swap.undone for swap in journal.swaps)
        _take_back(context, journal)
        raise
    journal.enter(phases.RESTORED)
    _start(context, journal)


def _take_back(context: Context, journal: Journal) -> None:
    """Forget what was prepared; services that were stopped for it run again."""
    if "mysql" in journal.components:
        scratch(context, scratch_home(context, journal.id), secrets(context)).down()
    try:
        if journal.swaps:
            _start(context, journal)
    except Refused:
        journal.discard()
        raise
    journal.discard()  # not before: after a kill while they start, the next call starts them


def undo(context: Context, journal: Journal) -> None:
    """Put the former state back; what arrived since the restore is kept beside until it is confirmed."""
    if journal.phase != phases.UNDOING:
        _stop(context, journal)
        journal.enter(phases.UNDOING)
    journal.backward()
    journal.enter(phases.UNDONE)
    _start(context, journal)


def settle(context: Context, start: bool = True) -> Journal | None:
    """End what a killed call has begun: prepared is taken back, an exchange is carried on, services start.

    Returns the restore that waits to be confirmed, if there is one. Without `start`, a restored state is not
    started any more: it may be undone because it does not start.
    """
    journal = Journal.read(context)
    if journal is None:
        return None
    if journal.phase == phases.PREPARING:
        context.out.note(
            f"an earlier restore of {journal.snapshot} was interrupted before it changed anything"
        )
        _take_back(context, journal)
        return None
    if journal.phase == phases.SWAPPING:
        context.out.note(
            f"an earlier restore of {journal.snapshot} was interrupted while it swapped: finishing it"
        )
        finish(context, journal)
    elif journal.phase == phases.UNDOING:
        undo(context, journal)
    elif not journal.started and (start or journal.phase == phases.UNDONE):
        _start(context, journal)
    return journal


def refuse_pending(journal: Journal | None) -> None:
    """One former state at a time: a second would make it unclear which one --undo means. Raises Refused."""
    if journal is None:
        return
    kept = ", ".join(str(path) for path in journal.kept)
    fix = "make restore ARGS=--confirm deletes that for good, or ARGS=--undo puts it back"
    problem = Problem(
        "restore", f"of {journal.snapshot} is {journal.phase}; the other state is kept: {kept}", fix
    )
    raise Refused(problem)


def accounts(compose: Compose) -> dict[str, str]:
    """The addresses that can be opened, by what their mailboxes are called in a snapshot."""
    rows = [line.split("\t") for line in query(compose, ACTIVE, "mailserver").splitlines() if line]
    return {"@".join(reversed(home.split("/"))): address for address, home in rows}


def _read_back(context: Context, snapshot: Snapshot) -> ReadBack:
    context.out.note("reading back over IMAP")
    known = accounts(Compose(context.repo, environ=context.environ))
    return read_back(snapshot, running(context, "dovecot"), known, whole=False)


def _holders(components: Sequence[str]) -> list[str]:
    held = [service for name in components for service in HOLDERS.get(name, [])]
    return list(dict.fromkeys(held)) if set(components) <= HOLDERS.keys() else []


def _stop(context: Context, journal: Journal) -> None:
    context.out.note(f"stopping: {', '.join(journal.services) or 'all services'}")
    Compose(context.repo, environ=context.environ).run("stop", *journal.services)


def _start(context: Context, journal: Journal) -> None:
    context.out.note(f"starting, and waiting for health: {', '.join(journal.services) or 'all services'}")
    compose = Compose(context.repo, environ=context.environ)
    compose.run("up", "--detach", "--wait", "--wait-timeout", WAIT_SECONDS, *journal.services)
    journal.started = True
    journal.write()
