"""What the Worker keeps things in: the spool, an R2 bucket, and what was alarmed, a KV namespace.

Neither is ever deleted. A bucket is ours by its lifecycle rule, which carries our mark, a namespace because
our Worker is bound to it. What is empty may be taken, since an interrupted apply leaves such.
"""

from collections.abc import Iterator
from typing import Any

from mailctl.edge import plan
from mailctl.edge.cloud import NAMESPACES, PER_PAGE, STORAGE, absent, created, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

BUCKET, NAMESPACE = "R2 bucket", "KV namespace"
SPOOL, STATE = "SPOOL", "STATE"
# How worker.js calls what it has still to hand in; what was refused lies beside it until it is deleted.
WAITING = "mail/"
# In `known`: names of our uploaded Worker's bindings, and what is behind each.
BOUND = "bound"
# Lifecycle rules count seconds: https://developers.cloudflare.com/api/resources/r2/subresources/buckets/subresources/lifecycle/
DAY = 86_400
DELETES = "deleteObjectsTransition"


def namespace_name(session: Session, namespace_id: str) -> str:
    """The title that people know it by; the id of one that is gone."""
    return str(session.cloud.known.get(NAMESPACE, {}).get(namespace_id, namespace_id))


def namespace_id(session: Session) -> str:
    """The id that the Worker is bound by; the title for as long as the namespace is only planned."""
    title = str(session.edge["worker"]["alarms"]["namespace"])
    titles = session.cloud.known.get(NAMESPACE, {})
    return next((key for key, name in titles.items() if name == title), title)


def namespace(session: Session) -> Iterator[Change | Note]:
    """What remembers alarms. Call after a look at the Worker that is there, and before it is compared."""
    alarms, cloud = session.edge["worker"].get("alarms"), session.cloud
    if not alarms:
        return
    held = cloud.known.get(BOUND, {}).get(STATE)
    title, namespaces = alarms["namespace"], cloud.client.kv.namespaces
    with explained("reading the KV namespaces", NAMESPACES):
        listed = list(namespaces.list(account_id=cloud.account_id, per_page=PER_PAGE))
        cloud.known[NAMESPACE] = {entry.id: entry.title for entry in listed}
        there = namespace_id(session)
        exists = there in cloud.known[NAMESPACE]
        foreign = exists and there != held and _holds_keys(session, there)
    if not exists:
        run = lambda: _make_namespace(session, title)  # noqa: E731
        yield Change(plan.STORES, plan.CREATE, NAMESPACE, title, {}, {"title": title}, NAMESPACES, run)
    elif foreign and not session.adopts(title):
        yield Note(plan.CONFLICT, NAMESPACE, title, "holds keys, and is not ours")


def _holds_keys(session: Session, namespace: str) -> bool:
    cloud = session.cloud
    page = cloud.client.kv.namespaces.keys.list(namespace, account_id=cloud.account_id, limit=10)
    return bool(page.result)


def _make_namespace(session: Session, title: str) -> None:
    cloud = session.cloud
    once = cloud.once().kv.namespaces
    made: Any = created(lambda: once.create(account_id=cloud.account_id, title=title))
    cloud.known[NAMESPACE][made.id] = title


def spool(session: Session) -> Iterator[Change | Note]:
    """Where mail waits. Call as `namespace`."""
    held = session.cloud.known.get(BOUND, {}).get(SPOOL)
    yield from _left(session, held)
    yield from _bucket(session, held)


def _left(session: Session, held: str | None) -> Iterator[Note]:
    """A bucket that the Worker spools into and that the file names no more."""
    spool = session.edge["worker"].get("spool")
    if not held or (spool and spool["bucket"] == held):
        return
    with explained("reading the R2 bucket", STORAGE):
        waiting = _filled(session, held, WAITING)
    if waiting:
        text = "mail waits in it, which nothing would hand in any more"
        fix = "put worker.spool back into edge/edge.yml until `.venv/bin/mailctl edge spool` shows none"
        yield Note(plan.CONFLICT, BUCKET, held, text, fix)
    else:
        text = "no mail waits in it; mailctl deletes no bucket: do it in the dashboard"
        yield Note(plan.UNNEEDED, BUCKET, held, text)


def _bucket(session: Session, held: str | None) -> Iterator[Change | Note]:
    wanted = session.edge["worker"].get("spool")
    if not wanted:
        return
    name = wanted["bucket"]
    with explained("reading the R2 bucket", STORAGE):
        rules = _rules(session, name)
        ours = name == held or any(rule["id"] == session.mark for rule in rules or [])
        foreign = not ours and _filled(session, name)
    want = {"deletes": f"all after {wanted['days']} days"}
    now = {"deletes": "; ".join(map(_deletion, filter(_deletes, rules or []))) or "nothing"}
    if foreign and not session.adopts(name):
        yield Note(plan.CONFLICT, BUCKET, name, "holds objects, and is not ours")
    elif rules is None or now != want:
        action = plan.CREATE if rules is None else plan.ADOPT if foreign else plan.UPDATE
        before = {} if rules is None else now
        run = lambda: _put_bucket(session, wanted, rules)  # noqa: E731
        yield Change(plan.STORES, action, BUCKET, name, before, want, STORAGE, run)


def _rules(session: Session, name: str) -> list[dict[str, Any]] | None:
    """A bucket's lifecycle rules; None when there is no such bucket."""
    cloud = session.cloud
    answer = absent(lambda: cloud.client.r2.buckets.lifecycle.get(name, account_id=cloud.account_id))
    if answer is None:
        return None
    return [rule.model_dump(mode="json", by_alias=True, exclude_none=True) for rule in answer.rules or []]


def _deletes(rule: dict[str, Any]) -> bool:
    return bool(rule["enabled"] and rule.get(DELETES))


def _deletion(rule: dict[str, Any]) -> str:
    when = rule[DELETES].get("condition", {})
    what = rule.get("conditions", {}).get("prefix") or "all"
    days = when.get("maxAge", 0) / DAY
    return f"{what} after {days:g} days" if when.get("type") == "Age" else f"{what} on {when.get('date')}"


def _filled(session: Session, name: str, prefix: str = "") -> bool:
    """Whether a bucket holds an object whose key begins so; one that is gone holds none."""
    cloud = session.cloud
    objects = cloud.client.r2.buckets.objects
    page = absent(lambda: objects.list(name, account_id=cloud.account_id, per_page=1, prefix=prefix))
    return bool(page and page.result)


def _put_bucket(session: Session, wanted: dict[str, Any], rules: list[dict[str, Any]] | None) -> None:
    """The bucket, and its one rule that deletes; other rules of it, such as R2's own on uploads, stay."""
    cloud, name = session.cloud, wanted["bucket"]
    if rules is None:
        once = cloud.once().r2.buckets
        created(lambda: once.create(account_id=cloud.account_id, name=name))
        rules = _rules(session, name) or []
    kept: list[Any] = [rule for rule in rules if DELETES not in rule]
    after = {"condition": {"type": "Age", "maxAge": wanted["days"] * DAY}}
    own: Any = {"id": session.mark, "enabled": True, "conditions": {"prefix": ""}, DELETES: after}
    cloud.client.r2.buckets.lifecycle.update(name, account_id=cloud.account_id, rules=[*kept, own])
