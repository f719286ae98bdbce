"""Email Routing switched on, with its MX, and the SPF record.

Cloudflare makes MX and SPF itself when routing is switched on, and locks both; whether it replaces an SPF
record that is there is unknown. So MX is switched, never written beside, and SPF is put right afterwards.
https://developers.cloudflare.com/email-routing/setup/email-routing-dns-records/
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mailctl.edge import plan
from mailctl.edge.cloud import (
    DNS,
    MANAGED_BY_ROUTING,
    SETTINGS,
    absent,
    codes,
    explained,
)
from mailctl.edge.plan import Change, Note
from mailctl.edge.records import Record, body, exchange, is_spf, mine, put, remove
from mailctl.edge.session import Session

if TYPE_CHECKING:
    from cloudflare import APIStatusError

KIND, MX, SPF = "Email Routing", "MX", "SPF"
# What Cloudflare writes itself: its own, so we may change it.
# https://developers.cloudflare.com/email-service/reference/postmaster/#mx-and-spf-records
CLOUDFLARE_SPF = "v=spf1 include:_spf.mx.cloudflare.net ~all"
# A fall-back place behind any other server, for the moment until routing is on.
MX_PRIORITY = 10


def compare(session: Session, found: list[Record]) -> Iterator[Change | Note]:
    """MX and routing, then SPF."""
    cloud = session.cloud
    with explained("reading Email Routing", SETTINGS):
        settings = absent(lambda: cloud.client.email_routing.get(zone_id=cloud.zone_id))
    enabled = bool(settings and settings.enabled)
    if not enabled and (elsewhere := _elsewhere(session, found)):
        cloud.known["elsewhere"] = True
        yield Note(plan.LATER, MX, session.zone, elsewhere)
        return
    switched = list(_switch(session, found, enabled))
    cloud.known["switching"] = any(isinstance(item, Change) for item in switched)
    yield from switched
    yield from _spf(session, found, cloud.known["switching"])


def _elsewhere(session: Session, found: list[Record]) -> str:
    """What waits while mail of the zone goes to another server; empty: nowhere, or it is to be switched now.

    Until then SPF, DMARC and MTA-STS of this server would harm what the other one sends and receives.
    """
    there = [record.content for record in found if record.type == "MX" and record.name == session.zone]
    if session.adopts(session.zone) or not there or set(there) & set(session.edge["email_routing"]["mx"]):
        return ""
    waits = f"mail still goes to {', '.join(there)}; MX and the TXT records of edge/edge.yml wait"
    return f"{waits}; once every mailbox is here: make edge-apply ARGS='--adopt {session.zone}'"


def _switch(session: Session, found: list[Record], enabled: bool) -> Iterator[Change | Note]:
    """Routing and its MX records, which belong together."""
    servers = session.edge["email_routing"]["mx"]
    there = [record for record in found if record.type == "MX" and record.name == session.zone]
    others = [record for record in there if record.content not in servers]
    missing = set(servers) - {record.content for record in there}
    if others and not session.adopts(session.zone):
        text = f"mail goes to {', '.join(record.content for record in others)}, which is not ours"
        yield Note(plan.CONFLICT, MX, session.zone, text)
        return
    if enabled and not missing and not others:
        return
    before = {
        "routing": "on" if enabled else "off",
        "MX": ", ".join(sorted(r.content for r in there)) or "none",
    }
    after = {"routing": "on", "MX": ", ".join(servers)}
    action = plan.ADOPT if others else plan.UPDATE
    run = _Switch(session, there, others)
    yield Change(plan.ROUTING, action, KIND, session.zone, before, after, f"{SETTINGS}; {DNS}", run)


class _Switch:
    """Hand the domain's mail over to Cloudflare: at every moment either the old or the new MX is there."""

    def __init__(self, session: Session, there: list[Record], others: list[Record]) -> None:
        self.session, self.there, self.others = session, there, others

    def __call__(self) -> None:
        from cloudflare import BadRequestError, ConflictError

        try:
            enable(self.session)
        except (BadRequestError, ConflictError):
            if not self.others:
                raise
            self._replace_first()
        if later := self.session.cloud.known.pop("after routing", None):
            later()
        for record in self.others:
            remove(self.session, record.id)

    def _replace_first(self) -> None:
        """Routing is refused beside foreign MX: exchange them in one call, and back if it still fails."""
        session = self.session
        servers = session.edge["email_routing"]["mx"]
        present = {record.content for record in self.there}
        new = [_mx(session, server) for server in servers if server not in present]
        done = exchange(session, [record.id for record in self.others], new)
        try:
            enable(session)
        except Exception:
            back = [_as_it_was(record) for record in self.others]
            exchange(session, [record.id for record in (done.posts if done else None) or []], back)
            raise
        self.others = []


def _mx(session: Session, server: str) -> dict[str, Any]:
    return {**body(session, Record("MX", session.zone, server)), "priority": MX_PRIORITY}


def _as_it_was(record: Record) -> dict[str, Any]:
    fields = {"type": "MX", "name": record.name, "ttl": record.ttl, "content": record.content}
    return {**fields, "priority": record.priority, "comment": record.comment}


def enable(session: Session) -> None:
    """Switch routing on; the newer call first, which Cloudflare does not let every token make."""
    from cloudflare import PermissionDeniedError

    routing, zone = session.cloud.client.email_routing, session.cloud.zone_id
    try:
        routing.dns.create(zone_id=zone)
    except PermissionDeniedError:
        routing.enable(zone_id=zone)


def unlock(session: Session) -> None:
    """Let MX and SPF be edited again."""
    from cloudflare import PermissionDeniedError

    routing, zone = session.cloud.client.email_routing, session.cloud.zone_id
    try:
        routing.dns.edit(zone_id=zone)
    except PermissionDeniedError:
        routing.unlock(zone_id=zone)


def _spf(session: Session, found: list[Record], switching: bool) -> Iterator[Change | Note]:
    """The one SPF record. Switching routing on may replace it, so it is looked at again after that."""
    there = [record for record in found if is_spf(session, record)]
    want = next(
        Record(r["type"], r["name"], r["content"])
        for r in session.edge["dns"]
        if r["name"] == session.zone and r["content"].startswith("v=spf1")
    )
    foreign = [r for r in there if not (mine(session, r) or r.same(want) or r.content == CLOUDFLARE_SPF)]
    if foreign and not session.adopts(session.zone):
        text = f"{'; '.join(record.content for record in foreign)} is there and not ours"
        yield Note(plan.CONFLICT, SPF, session.zone, text)
        return
    if len(there) == 1 and there[0].same(want) and not switching:
        return
    action = plan.ADOPT if foreign else plan.UPDATE if there else plan.CREATE
    before = {"content": "; ".join(record.content for record in there)} if there else {}
    scope = f"{DNS}; {SETTINGS}"
    yield Change(
        plan.SPF, action, SPF, session.zone, before, want.shown, scope, lambda: _put_spf(session, want)
    )


def _put_spf(session: Session, want: Record) -> None:
    from cloudflare import APIStatusError

    from mailctl.edge.records import live

    there = [record for record in live(session) if is_spf(session, record)]
    if len(there) == 1 and there[0].same(want) and mine(session, there[0]):
        return
    try:
        put(session, want, there)
    except APIStatusError as error:
        if not locked(error):
            raise
        unlock(session)
        put(session, want, there)


def locked(error: "APIStatusError") -> bool:
    return bool(codes(error) & MANAGED_BY_ROUTING)
