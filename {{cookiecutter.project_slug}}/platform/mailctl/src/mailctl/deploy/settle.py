"""From the first touched container to one of two ends: all of the new state, or all of the old one."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mailctl.canaries import Canary
from mailctl.core.errors import Refused
from mailctl.core.runtime import Broken, Service
from mailctl.deploy import hold, plan, records
from mailctl.deploy.hold import MAIL, UNDONE
from mailctl.deploy.host import Host
from mailctl.deploy.records import Journal, Point
from mailctl.deploy.run import CanaryLost, forward, get_images, keep, name_images, result, tried
from mailctl.secret_files import sealed

T = TypeVar("T")
# How long a roll-back waits for an engine that is being restarted, in seconds.
ENGINE_SECONDS = 180.0


@contextmanager
def steady() -> Iterator[None]:
    """A cut connection does not end what has begun; to be asked to stop means: roll back, then stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def settle(host: Host) -> dict[str, Any] | None:
    """End what a killed call has begun: drop what was prepared; finish a switch, at most once, or undo it."""
    journal = host.records.journal()
    if journal is None:
        return None
    host.say(f"an earlier deployment of {journal.target.ref[:12]} was interrupted while {journal.phase}")
    if journal.phase == records.PREPARING:
        discard(host, journal)
        return None
    journal.attempts += 1
    if journal.phase == records.SWITCHING and journal.attempts > 1:
        journal.phase, journal.reason = records.ROLLING_BACK, "it was interrupted twice"
    host.records.write(journal)
    return conclude(host, journal)


def discard(host: Host, journal: Journal) -> None:
    """Drop what was only prepared; names of images stand for what runs again."""
    sealed.take_back(host.context, journal.id)
    if journal.before:
        name_images(host, host.runtime.services(host.tree.repo), journal.before.images)
    host.tree.clear()
    (host.records.folder / "journal.json").unlink(missing_ok=True)


def conclude(host: Host, journal: Journal) -> dict[str, Any]:
    """Carry it to its end from wherever it stands; the document of its result."""
    with steady():
        canaries: list[Canary] = []
        if journal.phase == records.SWITCHING:
            try:
                canaries = forward(host, journal)
            except (*UNDONE, KeyboardInterrupt) as error:
                _blame(host, journal, error)
                canaries = error.canaries if isinstance(error, CanaryLost) else []
            else:
                return _good(host, journal, canaries)
        return back(host, journal, canaries)


def deliver_now(host: Host, journal: Journal) -> None:
    """Mail that waits because something was down is tried immediately, not when Postfix would look again."""
    if (journal.touched or journal.hold) and MAIL in host.runtime.running():
        with suppress(*UNDONE):
            host.runtime.inside(MAIL, ["postqueue", "-f"])


def _good(host: Host, journal: Journal, canaries: list[Canary]) -> dict[str, Any]:
    hold.off(host, journal)
    deliver_now(host, journal)
    services = host.runtime.services(host.tree.repo)
    state = plan.snapshot(
        host.runtime, host.tree, services, journal.target.ref, host.schema.now() if journal.planned else None
    )
    if not journal.planned and journal.before:
        state.schema = journal.before.schema
    keep(host, state.images, journal.id)
    what = records.DEPLOYED if journal.kind == "deploy" else records.ROLLED_BACK
    document = _document(journal, what, canaries) | {"ok": True}
    host.records.end(journal, document | {"state": vars(state)})
    host.tree.clear()
    prune(host)
    return document


def _blame(host: Host, journal: Journal, error: BaseException) -> None:
    """Write down why it is taken back, before anything is."""
    if isinstance(error, Refused):
        problem = error.problems[0]
        journal.reason = f"{problem.field}: {problem.wrong}"
        journal.culprit = error.service if isinstance(error, Broken) else None
        journal.log = error.details or ""
    else:
        journal.reason = str(error) or "it was interrupted"
    if journal.touched and not journal.culprit:
        journal.culprit = journal.touched[-1]
    journal.phase = records.ROLLING_BACK
    host.records.write(journal)
    host.say(f"{journal.reason}\nrolling back to {journal.before.ref[:12] if journal.before else 'nothing'}")


def back(host: Host, journal: Journal, canaries: list[Canary]) -> dict[str, Any]:
    """Put the recorded commit and images back. What does not work is told, and the rest goes on."""
    sealed.take_back(host.context, journal.id)
    before = journal.before
    if before is None:
        document = _document(journal, records.FAILED, canaries)
        document["reason"] += " (nothing ran here before: there is nothing to go back to)"
        host.records.end(journal, document | {"bad": journal.target.ref})
        return document
    _patiently(host.runtime.running)
    hold.on(host, journal)
    host.tree.go(before.ref)
    services = host.runtime.services(host.tree.repo)
    if missing := name_images(host, services, before.images):
        host.tree.prepare(before.ref)
        get_images(host, services, missing)
    _restore_tables(host, journal, lost=False)
    troubles = _recreate(host, journal, services)
    after: list[Canary] = []
    lost: list[str] = []
    try:
        after = tried(host, journal, services)
    except UNDONE:
        if _restore_tables(host, journal, lost=True):
            lost = _retried(host, journal, services)
        else:
            lost = ["the canaries do not come back after the roll-back either"]
    if lost and journal.hold:
        lost.append("mail stays on hold until they do: make deploy tries them again")
    else:
        hold.off(host, journal)
    deliver_now(host, journal)
    return _taken_back(host, journal, services, canaries or after, troubles + lost)


def _recreate(host: Host, journal: Journal, services: dict[str, Service]) -> list[str]:
    """Start again what was touched, and what is not as it was; returns what went wrong."""
    images = {name: host.runtime.image(one.image) for name, one in services.items()}
    troubles: list[str] = []
    old = plan.changes(host.runtime, host.tree, services, journal.before, images, staged=False)
    names = [name for name in services if name in journal.touched or name in old]
    for name in names:
        if name not in journal.touched:
            journal.touched.append(name)
            host.records.write(journal)
        host.say(f"{name}: back to what it was")
        try:
            seconds = host.runtime.replace(services[name])
            journal.away[name] = round(journal.away.get(name, 0.0) + seconds, 1)
        except UNDONE as error:
            troubles.append(str(error))
    return troubles


def _restore_tables(host: Host, journal: Journal, lost: bool) -> bool:
    """The tables as they were, when a migration broke off, or when what runs does not work with the new ones.

    Otherwise they stay as they are: the old code runs on them, and nothing that people did since is lost.
    """
    if not journal.dump or not (lost or "migration" in journal.reason):
        return False
    host.say("putting the accounts' tables back as they were copied")
    host.schema.restore(Path(journal.dump))
    return True


def _retried(host: Host, journal: Journal, services: dict[str, Service]) -> list[str]:
    try:
        tried(host, journal, services)
    except UNDONE as error:
        return [f"after the roll-back, with the tables of before: {error}"]
    return []


def _taken_back(
    host: Host, journal: Journal, services: dict[str, Service], canaries: list[Canary], troubles: list[str]
) -> dict[str, Any]:
    document = _document(journal, records.ROLLED_BACK, canaries) | {"bad": journal.target.ref}
    if troubles:
        document["reason"] += f"; and the roll-back is not whole: {'; '.join(troubles)}"
        host.records.end(journal, document)
    else:
        assert journal.before  # noqa: S101 (there is no roll-back without it)
        state = plan.snapshot(host.runtime, host.tree, services, journal.before.ref, host.schema.now())
        host.records.end(journal, document | {"state": vars(state)})
    host.tree.clear()
    return document


def _document(journal: Journal, what: str, canaries: list[Canary]) -> dict[str, Any]:
    return result(
        what,
        journal.target.ref,
        journal.before.ref if journal.before else None,
        recreated=list(journal.touched),
        away=journal.away,
        reason=journal.reason,
        culprit=journal.culprit,
        log=journal.log,
        canaries=[canary.as_dict() for canary in canaries],
        dump=journal.dump,
        held=hold.told(journal),
    )


def prune(host: Host) -> None:
    """Forget the names of images that no deployment within reach needs."""
    wanted = {one["id"] for one in host.records.history() if one.get("state")}
    reach = set(sorted(wanted)[-records.KEPT :])
    services = {name for point in host.records.points() for name in point.images}
    for service in sorted(services):
        for name in host.runtime.kept(f"{host.repository}/{service}"):
            if name.rpartition(":")[2] not in reach:
                host.runtime.forget(name)


def _patiently(look: Callable[[], T]) -> T:
    """What `look` gives, once the engine answers."""
    end, pause = time.monotonic() + ENGINE_SECONDS, threading.Event()
    while True:
        try:
            return look()
        except UNDONE:
            if time.monotonic() > end:
                raise
            pause.wait(1.0)


def points(host: Host) -> list[Point]:
    """What one can go back to, each commit once, the newest first."""
    seen: dict[str, Point] = {}
    for point in host.records.points():
        seen.setdefault(point.ref, point)
    return list(seen.values())
