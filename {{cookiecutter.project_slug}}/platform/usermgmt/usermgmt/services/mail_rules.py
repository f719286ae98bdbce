"""Replies while somebody is away, and forwards: what a person chooses, and the script that comes of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session, sessionmaker

from usermgmt.addresses import domain_of, parse_destinations, untagged
from usermgmt.database import lock_directory
from usermgmt.mail import sieve
from usermgmt.models import Alias, Domain, Mailbox, MailRules
from usermgmt.problems import Collector, Problem, Refused
from usermgmt.services.audit import Actor, change, record
from usermgmt.services.graph import Graph, check_destination, is_duty, sources_towards

MOST_FORWARDS = 4
MOST_DAYS = 30
LONGEST_SUBJECT = 200
LONGEST_REPLY = 5000
#: More of a mailbox's aliases than these are left out of the script; mail to the others gets no reply.
MOST_ALIASES = 100
ALIASES_CHANGED = "aliases have changed"
#: What no mail can carry: control characters but line end and tab, and halves of characters.
UNUSABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def rules_of(session: Session, mailbox: Mailbox) -> MailRules:
    """What the mailbox has chosen; everything off at first."""
    found = session.get(MailRules, mailbox.id)
    if found is None:
        found = MailRules(mailbox_id=mailbox.id, reply=False, reply_subject="", reply_text="")
        found.reply_days, found.forward_to, found.forward_outside, found.keep_copy = 7, "", "", True
    return found


def parse_text(field: str, value: str, most: int) -> str:
    """A text as it will be sent, with plain line ends; raises Refused."""
    text = value.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(text) > most or UNUSABLE.search(text) or (field == "subject" and "\n" in text):
        wrong = "The text is too long or has an invisible character."
        instead = "Use at most {most} characters, without control characters."
        raise Refused(Problem(field, "", wrong, instead, {"most": str(most)}))
    return text


def parse_day(field: str, value: str) -> date | None:
    """A day of the form 2026-12-31, or none; raises Refused."""
    with suppress(ValueError):
        day = date.fromisoformat(value.strip()) if value.strip() else None
        if day is None or 2000 <= day.year < 3000:
            return day
    wrong, instead = "This is not a day.", "Use year, month and day: 2026-12-31."
    raise Refused(Problem(field, value[:20], wrong, instead))


def parse_days(value: str) -> int:
    """How long a sender gets no second reply; raises Refused."""
    text = value.strip()
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_DAYS):
        wrong, instead = "This is not a number of days that can be used.", "Use a number from 1 to 30."
        raise Refused(Problem("days", value[:20], wrong, instead))
    return int(text)


def midnight(day: date | None, zone: str, later: int = 0) -> datetime | None:
    """The UTC moment when a day, or one some days later, begins in a time zone."""
    if day is None:
        return None
    begins = datetime.combine(day + timedelta(later), time(), ZoneInfo(zone))
    return begins.astimezone(UTC).replace(tzinfo=None)


def set_reply(session: Session, actor: Actor, mailbox: Mailbox, form: dict[str, str], zone: str) -> None:
    """Reply to who writes, or stop: `on`, `subject`, `text`, `from`, `until`, `days`. Raises Refused."""
    wrong = Collector()
    subject, text, days, on = "", "", 7, form.get("on") == "yes"
    starts: date | None = None
    ends: date | None = None
    with wrong:
        subject = parse_text("subject", form.get("subject", ""), LONGEST_SUBJECT)
    with wrong:
        text = parse_text("text", form.get("text", ""), LONGEST_REPLY)
        if on and not text:
            raise Refused(Problem("text", "", "There is no text.", "Write what senders shall read."))
    with wrong:
        starts = parse_day("from", form.get("from", ""))
    with wrong:
        ends = parse_day("until", form.get("until", ""))
    with wrong:
        days = parse_days(form.get("days", "7"))
    with wrong:
        if starts and ends and ends < starts:
            raise Refused(
                Problem(
                    "until",
                    form["until"],
                    "The last day is before the first one.",
                    "Swap them, or leave one empty.",
                )
            )
    wrong.check()
    rules = session.merge(rules_of(session, mailbox))
    rules.reply, rules.reply_subject, rules.reply_text, rules.reply_days = on, subject, text, days
    rules.starts_at, rules.ends_at = midnight(starts, zone), midnight(ends, zone, later=1)
    write(rules, mailbox.email, aliases_of(session, [mailbox.email])[mailbox.email])
    record(session, actor, "mailbox.reply", mailbox.email, on=on)


def refuse_duty(target: str) -> None:
    """Refuse an address whose mail, once it leads nowhere, falls to somebody: maybe to whoever forwards."""
    if is_duty(target):
        wrong, instead = "Mail for postmaster@ and abuse@ can fall to you.", "Use an address of a person."
        raise Refused(Problem("forward_to", target, wrong, instead))


def set_forwards(session: Session, actor: Actor, mailbox: Mailbox, addresses: str, keep_copy: bool) -> None:
    """Forward what arrives to these addresses, or with none of them stop. Raises Refused.

    The edge forwards to those outside this server, and that mail stays here whatever `keep_copy` says.
    """
    targets = parse_destinations(addresses, "forward_to") if addresses.strip() else []
    lock_directory(session)
    graph, wrong = Graph(session), Collector()
    for target in targets:
        with wrong:
            check_destination(graph, mailbox.email, target, "forward_to")
            if domain_of(target) in graph.domains:
                refuse_duty(target)
    if len(targets) > MOST_FORWARDS:
        wrong.problems.append(
            Problem(
                "forward_to",
                "",
                "These are more than four addresses.",
                "Ask your administrator for an alias.",
            )
        )
    wrong.check()
    rules = session.merge(rules_of(session, mailbox))
    here = [target for target in targets if domain_of(target) in graph.domains]
    outside = [target for target in targets if target not in here]
    after = {"forward_to": " ".join(here), "forward_outside": " ".join(outside), "keep_copy": keep_copy}
    change(session, actor, "mailbox.forward", mailbox.email, rules, after)
    write(rules, mailbox.email, aliases_of(session, [mailbox.email])[mailbox.email])


def write(rules: MailRules, address: str, aliases: Collection[str]) -> None:
    """Bring the script up to date."""
    rules.script = sieve.script(rules, address, sorted(aliases)[:MOST_ALIASES])
    rules.script_id = hashlib.sha256(rules.script.encode()).hexdigest() if rules.script else None


def aliases_of(session: Session, addresses: Collection[str]) -> dict[str, list[str]]:
    """Of each of these mailboxes the aliases that lead to it now, catch-alls left out."""
    found: dict[str, list[str]] = {address: [] for address in addresses}
    sources = [source for source in sources_towards(session, addresses) if not source.startswith("@")]
    graph = Graph(session).load_ways(sources)
    for source in sources:
        for end in {untagged(each) for each in graph.ends(source)} & found.keys():
            found[end].append(source)
    return found


def own_addresses(session: Session, mailbox: Mailbox) -> set[str]:
    """The addresses whose mail comes to a mailbox, catch-alls left out."""
    return {mailbox.email, *aliases_of(session, [mailbox.email])[mailbox.email]}


def cut_forwards(session: Session, actor: Actor, address: str) -> None:
    """Nothing is forwarded any more to an address that goes; the mail stays where it is forwarded from."""
    rows = select(MailRules, Mailbox.email).join(Mailbox, Mailbox.id == MailRules.mailbox_id)
    # With a tag too: name+tag@domain leads to name@domain.
    rows = rows.where(MailRules.forward_to.contains(address.rpartition("@")[0], autoescape=True))
    for rules, email in session.execute(rows).all():
        left = [target for target in rules.forward_to.split() if untagged(target) != address]
        if len(left) < len(rules.forward_to.split()):
            after = {"forward_to": " ".join(left)}
            change(session, actor, "mailbox.forward", email, rules, after)
            write(rules, email, aliases_of(session, [email])[email])


def changes_ways(row: object) -> bool:
    """Whether a row that was just written may lead mail elsewhere."""
    if isinstance(row, Mailbox):
        # A new one takes its address from the catch-all.
        state = inspect(row).attrs
        return any(state[name].history.has_changes() for name in ("email", "active", "deleted_at"))
    return isinstance(row, Alias | Domain)


def follow_aliases(sessions: sessionmaker[Session]) -> None:
    """Before a commit that changed where mail goes, bring the replies of all mailboxes up to date."""

    def note(session: Session, _context: object) -> None:
        if any(map(changes_ways, (*session.new, *session.dirty, *session.deleted))):
            session.info[ALIASES_CHANGED] = True

    def update(session: Session) -> None:
        session.flush()
        if session.info.pop(ALIASES_CHANGED, False):
            refresh(session)

    event.listen(sessions, "after_flush", note)
    event.listen(sessions, "before_commit", update)
    event.listen(sessions, "after_rollback", lambda session: session.info.pop(ALIASES_CHANGED, None))


def refresh(session: Session) -> None:
    """Write all scripts with a reply again; few queries, whatever their number."""
    rows = select(MailRules, Mailbox.email).join(Mailbox, Mailbox.id == MailRules.mailbox_id)
    replies = session.execute(rows.where(MailRules.reply)).all()
    aliases = aliases_of(session, [address for _, address in replies]) if replies else {}
    for rules, address in replies:
        write(rules, address, aliases[address])
