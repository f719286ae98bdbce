"""Allow and block lists of senders: of the whole server, of a domain, of a person.

What the entries mean is decided by config/rspamd/lua.local.d/sender_rules.lua, which reads `document`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import domain_of, parse_address, parse_domain, untagged
from usermgmt.models import Alias, Domain, Mailbox, SenderRule
from usermgmt.models.senders import ALLOW, BLOCK
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.services import junk_limit
from usermgmt.services.audit import Actor, record
from usermgmt.services.directory import require_domain, save
from usermgmt.services.graph import Graph, sources_towards
from usermgmt.services.listing import Order, Part, Window, part
from usermgmt.services.mail_reports import readable
from usermgmt.services.mailboxes import contains

KINDS = (ALLOW, BLOCK)
#: Entries in a list; and in all lists, which the filter reads as one document of some megabytes.
MOST_OF_PERSON, MOST, MOST_IN_ALL = 1_000, 10_000, 100_000
LONGEST_NOTE = 100
SUBDOMAINS = "*."


@dataclass(frozen=True)
class Owner:
    """Whose list: a person's, a domain's or, without either, the server's."""

    domain_id: int | None = None
    mailbox_id: int | None = None
    name: str = "server"

    @property
    def scope(self) -> str:
        """The same in one word."""
        if self.mailbox_id is not None:
            return f"mailbox:{self.mailbox_id}"
        return "server" if self.domain_id is None else f"domain:{self.domain_id}"


def of_person(mailbox: Mailbox) -> Owner:
    """The list of a mailbox's owner."""
    return Owner(mailbox.domain_id, mailbox.id, mailbox.email)


def owner_named(session: Session, actor: Actor, text: str) -> Owner:
    """The list of an address or a domain, or for no text the server's. Raises Refused: not the actor's."""
    entered = text.strip()
    if not entered and actor.domains is None:
        return Owner()
    if not entered:
        wrong, instead = "Only owners have a list for the whole server.", "Enter one of your domains."
        raise Refused(Problem("applies_to", text, wrong, instead))
    if "@" not in entered:
        domain = require_domain(session, actor, parse_domain(entered, "applies_to"), "applies_to", text)
        return Owner(domain.id, None, domain.name)
    address = parse_address(entered, "applies_to")
    require_domain(session, actor, address, "applies_to", text)
    mailbox = session.scalar(select(Mailbox).where(Mailbox.email == address, Mailbox.deleted_at.is_(None)))
    if mailbox is None:
        wrong, instead = "There is no such mailbox.", "Use the address of a mailbox, not of an alias."
        raise Refused(Problem("applies_to", text, wrong, instead))
    return of_person(mailbox)


def parse_pattern(value: str) -> str:
    """An address, a domain, or `*.domain` for it and all below it, as it is stored; raises Refused."""
    # All of a domain, as people write it: @shop.example, *@shop.example.
    text = value.strip().removeprefix("*@").removeprefix("@")
    if text.startswith(SUBDOMAINS):
        return SUBDOMAINS + parse_domain(text.removeprefix(SUBDOMAINS), "sender")
    return parse_address(text, "sender") if "@" in text else parse_domain(text, "sender")


def set_rule(
    session: Session, actor: Actor, owner: Owner, sender: str, kind: str, note: str = ""
) -> SenderRule:
    """Allow or block a sender; one that is in the list already is changed. Raises Refused."""
    problems = Collector()
    pattern = ""
    with problems:
        pattern = parse_pattern(sender)
    if kind not in KINDS:
        wrong, instead = "This is neither allow nor block.", "Use allow or block."
        problems.problems.append(Problem("kind", kind[:20], wrong, instead))
    if pattern and kind == BLOCK:
        with problems:
            refuse_own(session, pattern, sender)
    problems.check()
    here = SenderRule.scope == owner.scope
    rule = session.scalar(select(SenderRule).where(here, SenderRule.pattern == pattern))
    if rule is None:
        check_amount(session, owner, here, sender)
        rule = SenderRule(scope=owner.scope, domain_id=owner.domain_id, mailbox_id=owner.mailbox_id)
        rule.pattern = pattern
    rule.kind, rule.note, rule.created_by = kind, readable(note, LONGEST_NOTE), actor.name[:320]
    wrong, instead = "Somebody else added this sender meanwhile.", "Look at the list again."
    save(session, rule, Problem("sender", sender, wrong, instead))
    session.refresh(rule)
    record(session, actor, f"sender.{kind}", owner.name, sender=pattern)
    return rule


def refuse_own(session: Session, pattern: str, entered: str) -> None:
    """Refuse to block a domain of this server: nobody would miss it but its forwards and its test mails."""
    name = domain_of(pattern)
    top = name.removeprefix(SUBDOMAINS)
    for own in session.scalars(select(Domain.name)):
        if own == top or (name != top and own.endswith("." + top)):
            wrong = "The domain {domain} is on this server, whose people are never blocked."
            instead = "Against mail that is forged in its name, publish a DMARC policy."
            raise Refused(Problem("sender", entered, wrong, instead, {"domain": own}))


def check_amount(session: Session, owner: Owner, here: ColumnElement[bool], entered: str) -> None:
    """Refuse an entry beyond what a list, or all lists, may have."""
    most = MOST if owner.mailbox_id is None else MOST_OF_PERSON
    count = select(func.count(SenderRule.id))
    if (session.scalar(count.where(here)) or 0) >= most:
        wrong, instead = (
            "The list has {most} entries already.",
            "Remove some, or use a domain for many addresses.",
        )
        raise Refused(Problem("sender", entered, wrong, instead, {"most": str(most)}))
    if (session.scalar(count) or 0) >= MOST_IN_ALL:
        wrong, instead = "All lists of this server together are full.", "Ask an owner to remove entries."
        raise Refused(Problem("sender", entered, wrong, instead))


def get_rule(session: Session, rule_id: int) -> SenderRule:
    """The entry with this id; raises Missing."""
    rule = session.get(SenderRule, rule_id)
    if rule is None:
        wrong, instead = "There is no such entry.", "Choose one from the list."
        raise Missing(Problem("sender", str(rule_id), wrong, instead))
    return rule


def remove_rule(session: Session, actor: Actor, rule_id: int) -> SenderRule:
    """Neither allow nor block a sender any more; raises Missing."""
    rule = get_rule(session, rule_id)
    session.delete(rule)
    record(session, actor, "sender.remove", rule.applies_to or Owner().name, sender=rule.pattern)
    return rule


def matching(own: ColumnElement[bool], search: str, exact: bool = False) -> Select[tuple[int]]:
    """The numbers of the entries with this sender, or the text in it."""
    ids = select(SenderRule.id).where(own)
    if exact:
        return ids.where(SenderRule.pattern == parse_pattern(search))
    return ids.where(SenderRule.pattern.like(contains(search), escape="\\")) if search.strip() else ids


def find(
    session: Session, own: ColumnElement[bool], search: str, window: Window, exact: bool = False
) -> Part:
    """Some of the entries, by sender."""
    return part(session, matching(own, search, exact), Order("sender", SenderRule.pattern), window)


def document(session: Session) -> str:
    """All lists, and whose mail each person's is about, as the filter reads them; the same text each time."""
    found: dict[str, Any] = {"server": {}, "domains": {}, "people": {}}
    people: dict[str, str] = {}
    columns = select(SenderRule.pattern, SenderRule.kind, Mailbox.id, Mailbox.email, Domain.name)
    rows = columns.outerjoin(SenderRule.mailbox).outerjoin(SenderRule.domain)
    for pattern, kind, number, email, domain in session.execute(rows):
        if number is not None:
            people[email] = str(number)
            found["people"].setdefault(str(number), {})[pattern] = kind
        else:
            (found["domains"].setdefault(domain, {}) if domain else found["server"])[pattern] = kind
    found["junk"] = {}
    for number, email, limit in junk_limit.limits(session):
        people[email] = str(number)
        found["junk"][str(number)] = limit
    found["addresses"] = addresses_of(session, people)
    return json.dumps(found, sort_keys=True, separators=(",", ":"))


def addresses_of(session: Session, people: dict[str, str]) -> dict[str, str]:
    """The people's addresses and the aliases that lead to one of them alone, each with that person's number.

    Where a catch-all does, all else of its domain is there too, with nothing.
    """
    sources = sources_towards(session, people) if people else set()
    graph = Graph(session).load_ways(sources)
    found = dict(people)
    for source in sources:
        ends = {untagged(end) for end in graph.ends(source)}
        found[source] = people.get(ends.pop(), "") if len(ends) == 1 else ""
    caught = {domain_of(source) for source, number in found.items() if source.startswith("@") and number}
    if caught:
        inside = select(Domain.id).where(Domain.name.in_(caught))
        for column in (Mailbox.email, Alias.source):
            for address in session.scalars(select(column).where(column.class_.domain_id.in_(inside))):
                found.setdefault(address, "")
    return found
