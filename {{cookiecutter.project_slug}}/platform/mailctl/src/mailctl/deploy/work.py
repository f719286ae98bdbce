"""What the commands do, and how they tell it."""

from typing import Any

from mailctl.core import checklist
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration
from mailctl.deploy import plan, preflight, records, several
from mailctl.deploy.host import Host
from mailctl.deploy.records import Records
from mailctl.deploy.run import prepare, result, unchanged
from mailctl.deploy.settle import conclude, discard, points, settle
from mailctl.deploy.shared import Shared
from mailctl.deploy.tree import Tree


def deploy(host: Host, commit: str) -> dict[str, Any]:
    """The document of its result."""
    if isinstance(host.records, Shared):
        return several.deploy(host, host.records, commit)
    settled = settle(host)
    if settled and settled["ref"] == commit:
        return settled
    host.tree.refuse_edits()
    return unchanged(host, commit) or _deploy(host, commit)


def undo(host: Host, commit: str, reason: str) -> dict[str, Any]:
    """Take back what the commit's own mailctl has begun and not ended, or write down why it is refused."""
    if isinstance(host.records, Shared):
        return several.undo(host, host.records, commit, reason)
    journal = host.records.journal()
    if journal and journal.phase != records.PREPARING:
        if journal.phase == records.SWITCHING:
            journal.phase, journal.reason = records.ROLLING_BACK, reason
            host.records.write(journal)
        if document := settle(host):
            return document
    elif journal:
        discard(host, journal)
    last = host.records.points()
    refused = result(records.REFUSED, commit, last[0].ref if last else None, reason=reason)
    host.records.add(records.new_id(), refused)
    return refused


def rollback(host: Host, to: str) -> dict[str, Any]:
    """Raises Refused when there is no such deployment to go back to."""
    if isinstance(host.records, Shared):
        fix = (
            "make deploy REF=… goes to any commit; .venv/bin/mailctl swarm rollback ends what was interrupted"
        )
        raise Refused(Problem("make rollback", "is for one host", fix))
    settle(host)
    found = points(host)
    if not to:
        if len(found) < 2:
            wrong = "there is no earlier deployment to go back to"
            raise Refused(Problem("roll-back point", wrong, "make history shows them"))
        return _deploy(host, found[1].ref, found[1])
    commit = host.tree.commit(to)
    point = next((one for one in found if one.ref == commit), None)
    if point is None:
        fix = "make history shows those that did; make deploy REF=… deploys any commit"
        raise Refused(Problem("--to", "never ran well on this host", fix, value=to))
    return _deploy(host, commit, point)


def _deploy(host: Host, commit: str, back_to: records.Point | None = None) -> dict[str, Any]:
    last = host.records.points()
    try:
        journal = prepare(host, commit, back_to)
    except BaseException as error:
        if left := host.records.journal():
            discard(host, left)
        if not isinstance(error, Refused):
            raise
        before, problems = last[0].ref if last else None, [one.as_dict() for one in error.problems]
        told = {"reason": str(error), "problems": problems, "log": error.details or ""}
        refused = result(records.REFUSED, commit, before, **told)
        host.records.add(records.new_id(), refused)
        return refused
    journal.phase = records.SWITCHING
    host.records.write(journal)
    document = conclude(host, journal)
    if back_to and document["ok"]:
        document["bad"] = last[0].ref
    return document


def show_plan(host: Host, commit: str) -> None:
    """What a deployment of the commit would recreate. Nothing is fetched, built or changed."""
    # A folder of its own: a deployment may be under way.
    tree = Tree(host.tree.repo, host.tree.stage.with_name("dry-run"))
    if isinstance(host.records, Shared):
        several.show_plan(host, tree, commit)
        return
    try:
        services = host.runtime.services(tree.prepare(commit))
        last = host.records.points()
        before, usual = (last[0] if last else None), host.records.usual()
        wanted = plan.contexts(services, tree, commit)
        new = {*plan.to_build(host.runtime, services, wanted, before)}
        images = {n: None if n in new else host.runtime.image(s.image) for n, s in services.items()}
        planned = plan.changes(host.runtime, tree, services, before, images, staged=True)
        gone = plan.orphans(host.runtime.running(), services)
    finally:
        tree.clear()
    out = host.context.out
    for name, reason in planned.items():
        away = f"down {duration(usual[name])} as a rule" if name in usual else "down: not measured yet"
        out.row(name, f"{reason}; {away}", 16)
    for name in gone:
        out.row(name, "is removed", 16)
    if not planned and not gone:
        out.show("Nothing would be recreated.")
    what = [{"service": n, "reason": r, "away_seconds": usual.get(n)} for n, r in planned.items()]
    out.document({"ok": True, "ref": commit, "dry_run": True, "recreate": what, "remove": gone})


def show_result(context: Context, document: dict[str, Any]) -> None:
    """For people: its result, why, and the log of the culprit."""
    out = context.out
    if document.get("problems") and not out.as_json:
        out.refusal(
            Refused(*(Problem(**one) for one in document["problems"]), details=document["log"] or None)
        )
        return
    if document["log"]:
        out.note(document["log"])
    away = ", ".join(f"{name} {seconds:g} s" for name, seconds in document["away"].items())
    instead = f", instead of {document['from'][:12]}" if document["from"] else ""
    out.row(document["result"], f"{document['ref'][:12]}{instead}", 12)
    if away:
        out.row("down", away, 12)
    if held := document.get("held"):
        out.row("held", f"mail for {held['seconds']:g} s, for {', '.join(held['services'])}", 12)
    for canary in document["canaries"]:
        out.row("canary", f"{canary['name']}: {'ok' if canary['ok'] else 'FAILED'}, {canary['detail']}", 12)
    if document["reason"]:
        out.row("reason", document["reason"], 12)
    if document["culprit"]:
        out.row("culprit", document["culprit"], 12)
    out.document(document)


def show_history(context: Context, store: Records) -> None:
    """Newest first."""
    found = store.history()
    reach: set[str] = set()
    for one in found:
        if one.get("state") and one["state"]["ref"] not in reach and len(reach) < records.KEPT:
            reach.add(one["state"]["ref"])
    for one in found[:20]:
        mark = "*" if one["ref"] in reach and one["ok"] else " "
        held = f", mail held for {one['held']['seconds']:g} s" if one.get("held") else ""
        text = f"{one['id']} {one['ref'][:12]} {one['result']}{held}"
        context.out.row(mark, f"{text}{': ' + one['reason'][:160] if one['reason'] else ''}", 1)
    if reach:
        context.out.item("next", "make rollback goes back one step; make rollback TO=… to one with a *")
    plain = [{k: v for k, v in one.items() if k not in ("state", "log")} for one in found]
    context.out.document({"ok": True, "deployments": plain, "reach": sorted(reach)})


def show_preflight(host: Host) -> bool:
    """Print the list; whether no line failed."""
    if isinstance(host.records, Shared):
        raise Refused(Problem("make preflight", "is for one host", ".venv/bin/mailctl swarm preflight"))
    lines = preflight.whole(host)
    out = host.context.out
    if not out.as_json:
        out.lines(checklist.texts(lines, out.console.width))
    document = preflight.document(lines)
    out.document(document)
    return bool(document["ok"])
