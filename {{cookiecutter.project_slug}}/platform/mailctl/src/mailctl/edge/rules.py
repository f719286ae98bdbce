"""Email Routing's rules: the catch-all to the Worker, and single addresses that go elsewhere."""

from collections.abc import Callable, Iterator
from typing import Any

from mailctl.edge import destinations, plan
from mailctl.edge.cloud import ROUTING_PAGE, RULES, absent, created, explained
from mailctl.edge.plan import Change, Note
from mailctl.edge.session import Session

CATCH_ALL, RULE = "catch-all", "Email Routing rule"


def compare(session: Session) -> Iterator[Change | Note]:
    """Call after routing.compare: whether routing is about to be switched on decides what a refusal means."""
    if session.cloud.known.get("elsewhere"):
        return
    yield from _catch_all(session)
    yield from _rules(session)


def _catch_all(session: Session) -> Iterator[Change | Note]:
    cloud, worker = session.cloud, session.edge["email_routing"]["catch_all"]["worker"]
    catch_alls = cloud.client.email_routing.rules.catch_alls
    with explained("reading the catch-all", RULES):
        rule = absent(lambda: catch_alls.get(zone_id=cloud.zone_id))
    now, after = said(rule), f"worker {worker}"
    on = bool(rule and rule.enabled)
    if on and now == after:
        return
    if on and now != "drop" and rule and rule.name != session.mark and not session.adopts(CATCH_ALL):
        yield Note(plan.CONFLICT, CATCH_ALL, CATCH_ALL, f"{now} is not ours")
        return
    fields = {**_fields(session, {"worker": worker}), "matchers": [{"type": "all"}]}
    before = {"action": now if on else f"{now} (off)"}
    run = _or_after_routing(session, lambda: catch_alls.update(zone_id=cloud.zone_id, **fields))
    yield Change(plan.RULES, plan.UPDATE, CATCH_ALL, CATCH_ALL, before, {"action": after}, RULES, run)


def _or_after_routing(session: Session, call: Callable[[], Any]) -> Callable[[], None]:
    """Before routing is on, so that no mail finds it without a catch-all; if refused, right after."""

    def run() -> None:
        from cloudflare import BadRequestError, ConflictError

        try:
            call()
        except (BadRequestError, ConflictError):
            if not session.cloud.known.get("switching"):
                raise
            session.cloud.known["after routing"] = call

    return run


def _rules(session: Session) -> Iterator[Change | Note]:
    cloud = session.cloud
    with explained("reading the Email Routing rules", RULES):
        found = list(cloud.client.email_routing.rules.list(zone_id=cloud.zone_id, per_page=ROUTING_PAGE))
    matched = [(matcher, rule) for rule in found for matcher in rule.matchers or []]
    single = {m.value: rule for m, rule in matched if m.type == "literal" and m.value}
    for want in session.edge["email_routing"].get("rules", []):
        yield from _rule(session, want, single.pop(want["address"], None))
    for address, rule in single.items():
        if rule.name != session.mark:
            yield Note(plan.FOREIGN, RULE, address, said(rule))
        elif session.prune:
            yield _deletion(session, address, rule)
        else:
            yield Note(plan.UNNEEDED, RULE, address, said(rule))


def _rule(session: Session, want: dict[str, Any], rule: Any) -> Iterator[Change | Note]:
    address, after = want["address"], _wanted(want)
    if rule and rule.enabled and said(rule) == after:
        return
    if rule and rule.name != session.mark and not session.adopts(address):
        yield Note(plan.CONFLICT, RULE, address, f"{said(rule)} is not ours")
        return
    if "forward" in want and not destinations.confirmed(session, want["forward"]):
        text = f"comes when {want['forward']} has confirmed"
        yield Note(plan.UNCONFIRMED, RULE, address, text, "then: make edge-apply")
        return
    matchers = [{"type": "literal", "field": "to", "value": address}]
    fields = {**_fields(session, want), "matchers": matchers}
    rules, zone = session.cloud.client.email_routing.rules, session.cloud.zone_id
    if rule is None:
        once = session.cloud.once().email_routing.rules
        run, action, before = lambda: created(lambda: once.create(zone_id=zone, **fields)), plan.CREATE, {}
    else:
        run, before = lambda: rules.update(rule.id, zone_id=zone, **fields), {"action": said(rule)}
        action = plan.UPDATE if rule.name == session.mark else plan.ADOPT
    run = _or_after_routing(session, run) if rule else run
    yield Change(plan.RULES, action, RULE, address, before, {"action": after}, RULES, run)


def _deletion(session: Session, address: str, rule: Any) -> Change:
    from cloudflare import NotFoundError

    def run() -> None:
        try:
            session.cloud.client.email_routing.rules.delete(rule.id, zone_id=session.cloud.zone_id)
        except NotFoundError:
            return

    return Change(plan.REMOVAL, plan.DELETE, RULE, address, {"action": said(rule)}, {}, RULES, run)


def said(rule: Any) -> str:
    """A rule's action in words: `worker NAME`, `forward ADDRESS`, `drop`; `none` for no rule."""
    actions = (rule.actions if rule else None) or []
    return ", ".join(" ".join([action.type, *(action.value or [])]) for action in actions) or "none"


def _wanted(want: dict[str, Any]) -> str:
    kind = next(kind for kind in ("worker", "forward", "drop") if kind in want)
    return kind if kind == "drop" else f"{kind} {want[kind]}"


def _fields(session: Session, want: dict[str, Any]) -> dict[str, Any]:
    kind, _, value = _wanted(want).partition(" ")
    action = {"type": kind, "value": [value]} if value else {"type": kind}
    return {"actions": [action], "enabled": True, "name": session.mark}
