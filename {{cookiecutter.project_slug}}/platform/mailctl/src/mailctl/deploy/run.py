"""One deployment: prepared beside, then made live service by service, then tried; or taken back."""

import time
from typing import Any

from mailctl.canaries import Canary
from mailctl.core.disk_locks import NAME as BACKUP_LOCK
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import secrets
from mailctl.core.runtime import Broken, Service
from mailctl.core.schema import SERVICE as ACCOUNTS
from mailctl.deploy import checks, hold, plan, preflight, records
from mailctl.deploy.host import Host
from mailctl.deploy.records import Journal, Point
from mailctl.secret_files import sealed
from mailctl.secret_files.initialise import initialise

DATABASE = "mariadb"


def current(host: Host, services: dict[str, Service]) -> Point | None:
    """What runs now, to go back to; None where nothing ever ran."""
    running, points = host.runtime.running(), host.records.points()
    if not running and not points:
        return None
    last = points[0] if points else Point(host.tree.head)
    schema = host.schema.now() if DATABASE in running else None
    images = last.images | {name: found.image_id for name, found in running.items() if name in services}
    return Point(last.ref, images, last.files, last.contexts, plan.states(host.runtime), schema)


def unchanged(host: Host, commit: str) -> dict[str, Any] | None:
    """The result, when the commit is what runs already: found out fast, and nothing is written."""
    points = host.records.points()
    if not points or points[0].ref != commit or host.tree.head != commit or host.records.left():
        return None
    services = host.runtime.services(host.tree.repo)
    images = {name: host.runtime.image(one.image) for name, one in services.items()}
    running = host.runtime.running()
    if plan.changes(host.runtime, host.tree, services, points[0], images, staged=False):
        return None
    if plan.orphans(running, services):
        return None
    return result(records.UNCHANGED, commit, commit)


def prepare(host: Host, commit: str, back_to: Point | None = None) -> Journal:
    """Everything that can be done before a container is touched. Raises Refused; then nothing has changed."""
    live = host.runtime.services(host.tree.repo) if host.runtime.running() else {}
    before = current(host, live)
    journal = Journal(records.new_id(), Point(commit), before, "rollback" if back_to else "deploy")
    host.records.write(journal)
    host.say(f"looking at {commit[:12]} {host.tree.subject(commit)}")
    stage = host.tree.prepare(commit)
    services = host.runtime.services(stage)
    if not back_to:  # first, or new ones would be made in place of those in git
        sealed.open_sealed(host.context, stage / sealed.FOLDER, deployment=journal.id)
    # Those that are new with this commit: its own mailctl carries the deployment out.
    initialise(host.context, secrets(host.context))
    preflight.refuse(host, services)
    if before:
        keep(host, before.images, journal.id)
    _images(host, journal, services, back_to)
    images = {name: host.runtime.image(one.image) for name, one in services.items()}
    journal.target.images = {name: image for name, image in images.items() if image}
    journal.planned = plan.changes(host.runtime, host.tree, services, before, images, staged=True)
    if journal.planned:
        host.say(f"checking the configuration of {', '.join(journal.planned)}")
        checks.check(host.runtime, host.tree, services, journal.planned)
    past = host.remember() if before and journal.planned else {}
    migrates = not back_to and _prepare_schema(host, journal, services)
    if before:
        gone = plan.orphans(host.runtime.running(), services)
        closed = hold.moves_mail(host.tree.repo, stage, live, services)
        journal.hold = hold.needed(journal.planned, gone, migrates, closed, host.records.left())
        journal.past = past
    return journal


def keep(host: Host, images: dict[str, str], id: str) -> None:
    """Name images so that neither a prune nor a new build of the same name takes them away."""
    for name, image in images.items():
        if host.runtime.image(image):
            host.runtime.keep(image, f"{host.repository}/{name}:{id}")


def name_images(host: Host, services: dict[str, Service], images: dict[str, str]) -> list[str]:
    """Let the services' names stand for these images; returns the services whose image is gone."""
    missing = []
    for name, one in services.items():
        image = images.get(name)
        if not image or not host.runtime.image(image):
            missing.append(name)
        elif "@" not in one.image and host.runtime.image(one.image) != image:
            host.runtime.keep(image, one.image)
    return missing


def get_images(host: Host, services: dict[str, Service], names: list[str]) -> None:
    """Fetch or build what is not here."""
    tree = host.tree.stage if host.tree.stage.exists() else host.tree.repo
    ours = [name for name in names if services[name].build]
    if others := [name for name in plan.to_fetch(host.runtime, services) if name in names]:
        host.say(f"fetching {', '.join(others)}")
        host.runtime.fetch(tree, others)
    if ours:
        host.say(f"building {', '.join(ours)}")
        host.runtime.build(tree, ours)


def _images(host: Host, journal: Journal, services: dict[str, Service], back_to: Point | None) -> None:
    wanted = plan.contexts(services, host.tree, journal.target.ref)
    journal.target.contexts = wanted
    if back_to:
        names = name_images(host, services, back_to.images)
    else:
        names = [
            *plan.to_fetch(host.runtime, services),
            *plan.to_build(host.runtime, services, wanted, journal.before),
        ]
    get_images(host, services, names)


def _prepare_schema(host: Host, journal: Journal, services: dict[str, Service]) -> bool:
    """Judge a migration, and copy the tables that it or a new version of a program is going to change.

    Returns whether there is a migration.
    """
    now = journal.before.schema if journal.before else None
    if now is None or not {ACCOUNTS, DATABASE, "roundcube"} & journal.planned.keys():
        return False
    moves = False
    if ACCOUNTS in journal.planned:
        head, known = host.schema.wanted(services[ACCOUNTS])
        moves = head != now and now in known
        if moves:
            host.schema.refuse_contraction(services[ACCOUNTS], now, head)
    others = [name for name in (DATABASE, "roundcube") if journal.planned.get(name) == "another image"]
    if moves or others:
        host.say("copying the database")
        journal.dump = str(host.schema.copy(journal.id))
    return moves


def forward(host: Host, journal: Journal) -> list[Canary]:
    """Make it live. Each step may be done again after a crash. Raises Broken and Refused."""
    # Before the live tree changes: programs that start from then on read the new files.
    hold.on(host, journal)
    host.tree.go(journal.target.ref)
    services = host.runtime.services(host.tree.repo)
    if name_images(host, services, journal.target.images):
        raise Refused(Problem("images", "are gone since they were made", "make deploy again"))
    _migrate(host, journal, services)
    for name, reason in journal.planned.items():
        if name in journal.away:
            continue
        if name not in journal.touched:
            journal.touched.append(name)
        host.records.write(journal)
        host.say(f"{name}: {reason}")
        began = time.monotonic()
        try:
            journal.away[name] = round(host.runtime.replace(services[name]), 1)
        except BaseException:
            journal.away[name] = round(time.monotonic() - began, 1)
            raise
        host.records.write(journal)
        host.say(f"{name}: healthy after {journal.away[name]} s")
        if name == DATABASE:
            _migrate(host, journal, services)
    return tried(host, journal, services)


def tried(host: Host, journal: Journal, services: dict[str, Service]) -> list[Canary]:
    """Remove what is no longer wanted, and send the canaries. Raises Broken."""
    gone = plan.orphans(host.runtime.running(), services)
    for name in gone:
        host.say(f"{name}: no longer part of the server")
        host.runtime.remove(name)
    if not journal.planned and not gone and not journal.touched and not journal.hold:
        return []
    # All of them come up again after a restart of the engine in the middle.
    running = host.runtime.running()
    for name in (name for name in services if name not in running or not running[name].ok):
        host.runtime.wait(services[name])
    host.say("sending the canaries")
    found = host.canaries(journal.past)
    if failed := next((one for one in found if not one.ok), None):
        suspect = failed.suspect(journal.touched)
        log = "\n".join(host.runtime.log(name) for name in dict.fromkeys((suspect, failed.behind[0])))
        raise CanaryLost(suspect, f"canary {failed.name}: {failed.detail}", log, found)
    return found


class CanaryLost(Broken):
    """A canary did not come back."""

    def __init__(self, service: str, wrong: str, log: str, canaries: list[Canary]) -> None:
        super().__init__(service, wrong, log)
        self.canaries = canaries


def _migrate(host: Host, journal: Journal, services: dict[str, Service]) -> None:
    """Bring the tables to the newest revision, as soon as the database runs."""
    if journal.kind != "deploy" or ACCOUNTS not in journal.planned or ACCOUNTS in journal.away:
        return
    now = host.schema.now()
    if now is None:
        return
    head, known = host.schema.wanted(services[ACCOUNTS])
    if head == now or now not in known:
        return
    if journal.dump is None:
        journal.dump = str(host.schema.copy(journal.id))
        host.records.write(journal)
    host.say(f"migrating the accounts' tables from {now} to {head}")
    try:
        host.schema.migrate(host.tree.repo)
    except Refused as refusal:
        said = " ".join((refusal.details or str(refusal)).split())[-300:]
        wrong = f"migration from {now} to {head}: {said}"
        raise Broken(ACCOUNTS, wrong, refusal.details or "") from None


def result(what: str, commit: str, before: str | None, **more: Any) -> dict[str, Any]:
    """The document of a deployment, as it is printed and kept."""
    plain: dict[str, Any] = {
        "recreated": [],
        "away": {},
        "reason": "",
        "culprit": None,
        "canaries": [],
        "log": "",
        "held": None,
    }
    ok = what in (records.DEPLOYED, records.UNCHANGED)
    return {"ok": ok, "ref": commit, "from": before, "result": what, **plain, **more}


def backup_lock(host: Host) -> Any:
    """Where backup and restore say that they work."""
    return host.context.folder("HDD_PATH", "") / BACKUP_LOCK
