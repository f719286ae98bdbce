"""From which score a person's mail goes to Junk, where that is not as the server has it.

The filter reads it beside the lists of senders (services/senders.py) and applies it in sender_rules.lua.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.models import Mailbox, MailRules
from usermgmt.problems import Problem, Refused
from usermgmt.services.audit import Actor, change
from usermgmt.services.mail_rules import rules_of

#: Points of rspamd; the server's limit, and that of refusing, are in config/rspamd/local.d/actions.conf.
LOWEST, USUAL, HIGHEST = 2, 6, 12


def parse_limit(value: str) -> int | None:
    """A number of points, or nothing for the server's limit; raises Refused."""
    text = value.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and LOWEST <= int(text[:4]) <= HIGHEST):
        wrong, instead = "This is no limit that can be used.", "Use a number from {lowest} to {highest}."
        words = {"lowest": str(LOWEST), "highest": str(HIGHEST)}
        raise Refused(Problem("junk_from", value[:20], wrong, instead, words))
    return int(text)


def set_limit(session: Session, actor: Actor, mailbox: Mailbox, entered: str) -> int | None:
    """Have mail go to Junk from so many points, or as everybody's. Raises Refused."""
    limit = parse_limit(entered)
    rules = session.merge(rules_of(session, mailbox))
    change(session, actor, "mailbox.junk", mailbox.email, rules, {"junk_from": limit})
    return limit


def limits(session: Session) -> list[tuple[int, str, int]]:
    """Each mailbox with a limit of its own: its number, its address and the limit."""
    columns = select(Mailbox.id, Mailbox.email, MailRules.junk_from)
    rows = columns.join(MailRules, MailRules.mailbox_id == Mailbox.id)
    found = session.execute(rows.where(MailRules.junk_from.is_not(None)))
    return [(number, email, limit or USUAL) for number, email, limit in found]
