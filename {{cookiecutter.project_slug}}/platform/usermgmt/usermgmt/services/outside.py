"""Addresses outside this server that mail is forwarded to: who asked for it, and what the host says of them.

The mail is forwarded where it came in, by the Email Worker, and stays here as well. The filter fetches
`document`, and names the addresses of each mail that it lets pass (config/rspamd/lua.local.d/forwards.lua).
Cloudflare forwards to an address only once its owner has confirmed it; mailctl asks for that (`edge apply`)
and tells here how it stands. So does the monitor with what could not be forwarded.
"""

from __future__ import annotations

import json
from typing import Any

from marshmallow import ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of
from usermgmt.models import Alias, Domain, HostNews, Mailbox, MailRules, utc_now
from usermgmt.problems import Problem, Refused
from usermgmt.services.aliases import AliasRow
from usermgmt.services.graph import DUTIES, Graph
from usermgmt.services.host_news import Lenient, latest

NAME = "destinations"
WAITING, VERIFIED, UNKNOWN = "waiting", "verified", "unknown"
ADDRESSES = fields.List(fields.String(), load_default=list)


class Told(Lenient):
    """What mailctl found at Cloudflare, and which of the addresses it has brought there itself."""

    states = fields.Dict(fields.String(), fields.String(validate=validate.OneOf((WAITING, VERIFIED))))
    ours = ADDRESSES


def wanted(session: Session) -> list[str]:
    """All addresses outside that an alias or a person forwards to, enabled or not."""
    here = set(session.scalars(select(Domain.name)))
    found = set(session.scalars(select(Alias.destination)))
    boxes = select(MailRules.forward_outside).join(Mailbox, Mailbox.id == MailRules.mailbox_id)
    for addresses in session.scalars(boxes.where(Mailbox.deleted_at.is_(None))):
        found |= set(addresses.split())
    return sorted(each for each in found if domain_of(each) not in here)


def told(session: Session) -> dict[str, Any]:
    """What mailctl last told: `states` by address, and `ours`."""
    news = session.get(HostNews, NAME)
    return news.document if news else {"states": {}, "ours": []}


def keep(session: Session, text: str) -> None:
    """Keep what mailctl tells in place of the last. Raises Refused: nothing is changed."""
    try:
        found = Told().load(json.loads(text))
    except (ValueError, ValidationError) as error:
        wrong, fix = "This is not what mailctl tells: {said}", "Update mailctl and usermgmt to one version."
        raise Refused(Problem("destinations", text[:60], wrong, fix, {"said": str(error)[:300]})) from error
    document = {"states": found.get("states", {}), "ours": found["ours"]}
    session.merge(HostNews(name=NAME, at=utc_now(), document=document))


def state_of(session: Session, addresses: list[str]) -> dict[str, str]:
    """Of each address whether it was confirmed: one of WAITING, VERIFIED, UNKNOWN."""
    states = told(session)["states"]
    return {each: states.get(each, UNKNOWN) for each in addresses}


def states_among(session: Session, rows: list[AliasRow]) -> dict[str, str]:
    """The same of the destinations outside of these aliases."""
    here = set(session.scalars(select(Domain.name)))
    found = {alias.destination for row in rows for alias in row.destinations}
    return state_of(session, [each for each in found if domain_of(each) not in here])


def failures(session: Session, recipients: set[str]) -> list[dict[str, Any]]:
    """What could lately not be forwarded of the mail to these addresses, by destination and reason."""
    news = latest(session)
    kept = (news.document.get("forwards") or []) if news else []
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in kept:
        if each["recipient"] in recipients:
            entry = found.setdefault((each["destination"], each["reason"]), {**each, "count": 0})
            entry["count"] += each["count"]
            entry["at"] = max(entry["at"], each["at"])
    return sorted(found.values(), key=lambda entry: -float(entry["at"]))


def document(session: Session) -> str:
    """Each address whose mail is forwarded outside, with where to; the same text each time.

    Where a catch-all leads to such an address, all else of its domain is there too, with nothing. Left out
    are destinations that are known to wait for their confirmation: Cloudflare would refuse them.
    """
    waiting = {each for each, state in told(session)["states"].items() if state == WAITING}
    found: dict[str, list[str]] = {}
    if set(wanted(session)) - waiting:
        graph = Graph(session).load_all()
        people = {each for each, to in graph.forwards.items() if to or graph.outside_forwards[each]}
        duties = {f"{duty}@{name}" for duty in DUTIES for name in graph.domains}
        for address in people | graph.aliases.keys() | duties:
            if to := graph.outside(address) - waiting:
                found[address] = sorted(to)
        caught = {domain_of(each) for each in found if each.startswith("@")}
        for address in {*graph.mailboxes, *graph.aliases, *duties}:
            if domain_of(address) in caught:
                found.setdefault(address, [])
    return json.dumps(found, sort_keys=True, separators=(",", ":"))
