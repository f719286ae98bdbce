"""One deployment on several hosts: the steps of run.py and settle.py, by the engine's own means.

Nothing that another manager would need is kept on this host: whose turn it is, whether mail is held, what
runs and what was rolled back stands in the Swarm. Whoever leads next carries what broke off to its end.
"""

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailctl.canaries import Canary
from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Service
from mailctl.core.schema import SERVICE as ACCOUNTS
from mailctl.deploy import hold, records, staging
from mailctl.deploy.hold import UNDONE
from mailctl.deploy.host import Host
from mailctl.deploy.run import CanaryLost, result
from mailctl.deploy.settle import steady
from mailctl.deploy.shared import Shared
from mailctl.deploy.staging import Staged
from mailctl.deploy.tree import Tree
from mailctl.secret_files import sealed
from mailctl.swarm import deploy as work
from mailctl.swarm import docker, holding, kept, migrate
from mailctl.swarm.kept import Turn

STORES = ("dovecot", "dovecot-store")


@dataclass
class Deployment:
    """The one under way; what is here and not in the Swarm, its end does not need."""

    host: Host
    shared: Shared
    turn: Turn
    id: str = field(default_factory=records.new_id)
    before: str = ""
    planned: dict[str, str] = field(default_factory=dict)
    migrates: bool = False
    dump: Path | None = None
    held: dict[str, Any] | None = None
    past: dict[str, Any] = field(default_factory=dict)
    canaries: list[Canary] = field(default_factory=list)

    @property
    def stack(self) -> str:
        return self.turn.stack

    @property
    def commit(self) -> str:
        return self.turn.commit

    @property
    def swarm(self) -> work.Swarm:
        return work.Swarm(self.stack, self.host.say, commit=self.commit, check=self.turn.check)

    def document(self, what: str, **more: Any) -> dict[str, Any]:
        """Its result, as of a deployment on one host."""
        held = None
        if self.held and self.held["since"]:
            seconds = round(time.time() - self.held["since"], 1)
            held = {"seconds": seconds, **{key: self.held[key] for key in ("services", "why")}}
        told = {"canaries": [each.as_dict() for each in self.canaries], "recreated": list(self.planned)}
        return result(what, self.commit, self.before or None, held=held, **told, **more)


def deploy(host: Host, shared: Shared, commit: str) -> dict[str, Any]:
    """Deploy a commit; the document of its result. Raises Refused: it is another host's turn."""
    with kept.taken(host.context.project_name, kept.DEPLOYS, commit) as now:
        mine = Deployment(host, shared, now, before=work.deployed(now.stack)[0])
        try:
            host.tree.refuse_edits()
            stage = host.tree.prepare(commit)
            if not shared.left() and staging.unchanged(host, stage, mine.before == commit):
                return mine.document(records.UNCHANGED)
            staged = _prepare(mine, stage)
        except Refused as refusal:
            sealed.take_back(host.context, mine.id)
            return _told(mine, records.REFUSED, refusal)
        except BaseException:
            kept.give_up(now)
            raise
        finally:
            host.tree.clear()
        with steady():
            return _switch(mine, staged)


def undo(host: Host, shared: Shared, commit: str, reason: str) -> dict[str, Any]:
    """Take back what a commit has begun, on whatever host, or write down why it is refused."""
    stack = host.context.project_name
    begun = kept.current(stack)
    with kept.taken(stack, kept.DEPLOYS, commit) as now:
        mine = Deployment(host, shared, now, before=work.deployed(stack)[0], held=shared.left())
        refusal = Refused(Problem("deployment", reason, "fix it in a new commit"))
        if mine.before == commit:
            # It ran well, and only the end of it is missing.
            return _told(mine, records.FAILED, refusal) if _tried_again(mine) else _good(mine)
        if begun is None and not mine.held:
            return _told(mine, records.REFUSED, refusal)
        host.say(f"{reason}\nrolling back to {mine.before[:12] or 'the last stack'}")
        with suppress(kept.Lost):
            mine.swarm.roll_back()
        return _back(mine, refusal)


def show_plan(host: Host, tree: Tree, commit: str) -> None:
    """What a deployment of the commit would change. Nothing is pushed or changed."""
    before = work.deployed(host.context.project_name)[0]
    try:
        now = staging.draft(host, tree, before) if before else ""
        new = staging.draft(host, tree, commit)
    finally:
        tree.clear()
    found, gone = staging.planned(now, new), sorted(set(staging.services(now)) - set(staging.services(new)))
    out = host.context.out
    for name, reason in [*found.items(), *((name, "is removed") for name in gone)]:
        out.row(name, reason, 16)
    if not found and not gone:
        out.show("Nothing would be changed.")
    what = [{"service": name, "reason": reason, "away_seconds": None} for name, reason in found.items()]
    out.document({"ok": True, "ref": commit, "dry_run": True, "recreate": what, "remove": gone})


def _prepare(mine: Deployment, stage: Path) -> Staged:
    """Everything before a service is touched. Raises Refused; then the stack is as it was."""
    host, good = mine.host, work.last_good(mine.stack)
    host.say(f"looking at {mine.commit[:12]} {host.tree.subject(mine.commit)}")
    sealed.open_sealed(host.context, stage / sealed.FOLDER, deployment=mine.id)
    staged = staging.rendered(host, stage)
    mine.planned = staging.planned(good, staged.stack.text)
    staging.same_secrets(host.tree, mine.commit, good, staged.stack.text, work.deployed(mine.stack))
    staging.check(staged, mine.planned, host)
    if not good:
        return staged
    if any(hold.stores(host.tree.repo, each) != hold.stores(stage, each) for each in STORES):
        wrong = "changes where or how mail is kept: everybody would have to be kept out, on every host"
        raise Refused(Problem("the stores", wrong, ".venv/bin/mailctl swarm deploy, when nobody works"))
    mine.past = host.remember() if mine.planned else {}
    _prepare_schema(mine, staged.services)
    gone = set(staging.services(good)) - set(staging.services(staged.stack.text))
    mine.held = hold.needed(mine.planned, gone, mine.migrates, False, mine.shared.left())
    return staged


def _prepare_schema(mine: Deployment, services: Mapping[str, Service]) -> None:
    """Judge a migration, and copy the tables that it or a new version of a program is going to change."""
    schema, now = mine.host.schema, mine.host.schema.now()
    if now is None:
        return
    if ACCOUNTS in mine.planned:
        head, known = schema.wanted(services[ACCOUNTS])
        mine.migrates = head != now and now in known
        if mine.migrates:
            schema.refuse_contraction(services[ACCOUNTS], now, head)
    others = any(mine.planned.get(name) == staging.IMAGE for name in ("mariadb-1", "roundcube"))
    if mine.migrates or others:
        mine.host.say("copying the database")
        mine.dump = schema.copy(mine.id)


def _switch(mine: Deployment, staged: Staged) -> dict[str, Any]:
    good = work.last_good(mine.stack)

    def first() -> None:
        if mine.held:
            _hold(mine, good)
        if mine.migrates:
            mine.host.say("migrating the accounts' tables")
            mine.turn.check()
            migrate.run(mine.stack, staged.stack.text)

    try:
        mine.swarm.deploy(staged.stack, first, lambda: _try(mine))
    except kept.Lost:
        raise
    except Refused as refusal:
        return _back(mine, refusal)
    except (OSError, KeyboardInterrupt) as error:
        mine.swarm.roll_back()
        return _back(mine, Refused(Problem("deployment", str(error) or "was interrupted", "deploy again")))
    return _good(mine)


def _hold(mine: Deployment, good: str) -> None:
    """Mail waits on every host. That it cannot must not keep a commit away that repairs just this."""
    assert mine.held  # noqa: S101 (asked before)
    mine.held["since"] = mine.held["since"] or time.time()
    mine.host.say(f"mail waits while this is tried: {', '.join(mine.held['services'])}")
    mine.shared.canaries_word(mine.held)
    mine.turn.check()
    try:
        holding.on(mine.stack, good, mine.held)
    except kept.Lost:
        raise
    except Refused as refusal:
        mine.host.say(f"mail is not held everywhere: {refusal}")
        mine.held["why"] += f"; not held everywhere: {refusal}"


def _try(mine: Deployment) -> None:
    """Send the canaries. Raises CanaryLost."""
    if not mine.planned and not mine.held:
        return
    mine.host.say("sending the canaries")
    mine.canaries = mine.host.canaries(mine.past)
    if failed := next((each for each in mine.canaries if not each.ok), None):
        suspect = failed.suspect([name.partition("-")[0] for name in mine.planned])
        log = docker.log(f"{mine.stack}_{suspect}")
        raise CanaryLost(suspect, f"canary {failed.name}: {failed.detail}", log, mine.canaries)


def _release(mine: Deployment) -> str:
    """Take everybody's mail again; why not, if a host still holds it."""
    if not mine.held or mine.held["since"] is None:
        return ""
    try:
        mine.turn.check()
        holding.off(mine.stack, work.last_good(mine.stack))
    except UNDONE as error:
        return f"mail is still held: {error}"
    mine.shared.canaries_word(None)
    mine.host.say(f"mail was held for {time.time() - mine.held['since']:.0f} s")
    return ""


def _good(mine: Deployment) -> dict[str, Any]:
    document = mine.document(records.DEPLOYED, reason=_release(mine))
    mine.shared.add(mine.id, document)
    with suppress(Refused):  # the next look of this host's agent does it
        mine.host.tree.go(mine.commit)
    return document


def _tried_again(mine: Deployment) -> str:
    """Why the canaries do not come back now; the first loss may be of what was just tried."""
    try:
        _try(mine)
    except UNDONE as error:
        return str(error)
    return ""


def _back(mine: Deployment, refusal: Refused) -> dict[str, Any]:
    """The stack is the old one again, or that was tried: what else belongs to it, and the result."""
    sealed.take_back(mine.host.context, mine.id)
    if not work.last_good(mine.stack):
        return _told(mine, records.FAILED, refusal)
    tried, broken = mine.canaries, refusal.problems[0].wrong.startswith(migrate.BROKEN)
    if mine.dump and broken:
        mine.host.schema.restore(mine.dump)
    lost = _tried_again(mine)
    if lost and mine.dump and not broken:
        mine.host.say("putting the accounts' tables back as they were copied")
        mine.host.schema.restore(mine.dump)
        lost = _tried_again(mine)
    mine.canaries = tried or mine.canaries
    more = f"after the roll-back: {lost}; mail stays on hold until they do" if lost and mine.held else lost
    return _told(mine, records.ROLLED_BACK, refusal, more or _release(mine))


def _told(mine: Deployment, what: str, refusal: Refused, more: str = "") -> dict[str, Any]:
    """Keep and return the result of what was refused or taken back."""
    said = [*(f"{each.field}: {each.wrong}" for each in refusal.problems), more]
    told: dict[str, Any] = {"reason": "; ".join(filter(None, said)), "log": refusal.details or ""}
    if what == records.REFUSED:
        told["problems"] = [each.as_dict() for each in refusal.problems]
    else:
        told |= {"bad": mine.commit, "culprit": getattr(refusal, "service", None)}
    document = mine.document(what, **told)
    mine.shared.add(mine.id, document)
    return document
