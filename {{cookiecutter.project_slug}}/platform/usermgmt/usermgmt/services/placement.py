"""Which shard holds which mailbox, on several hosts; on one host there are no shards (models/shards.py)."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_own_address
from usermgmt.models import FIRST_SHARD, Mailbox, MailboxMove, MailboxUsage, Shard, utc_now
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.services.audit import Actor, record

#: Mailboxes that one request may have moved: each is an entry of the audit log.
MOST_AT_ONCE = 10_000
#: Moves that are shown, those in trouble first.
MOST_SHOWN = 200


def shard_of_new(session: Session) -> str:
    """Where a new mailbox goes: to the open shard with the fewest."""
    held = func.count(Mailbox.id)
    query = select(Shard.name).outerjoin(Mailbox, Mailbox.shard == Shard.name).where(Shard.open)
    return session.scalar(query.group_by(Shard.name).order_by(held, Shard.name).limit(1)) or FIRST_SHARD


def get_shard(session: Session, name: str) -> Shard:
    """The shard of that name. Raises Missing."""
    found = session.get(Shard, name)
    if found is None:
        wrong = "There is no such shard."
        raise Missing(Problem("shard", name, wrong, "mailctl node list shows what there is."))
    return found


def set_shard(session: Session, actor: Actor, wanted: dict[str, Any]) -> None:
    """Add a shard, or change node, `open` or `generation`, which never falls. Raises Refused."""
    name, now = wanted["name"], session.get(Shard, wanted["name"])
    generation = wanted.get("generation", now.generation if now else 1)
    if now and generation < now.generation:
        wrong, instead = "The shard has gone on without this copy.", "Merge it first: mailctl node return."
        raise Refused(Problem("generation", str(generation), wrong, instead))
    shard = now or Shard(name=name, node=wanted["node"])
    shard.node, shard.generation = wanted.get("node", shard.node), generation
    shard.open = wanted.get("open", now.open if now else True)
    session.add(shard)
    record(session, actor, "shard.set", name, node=shard.node, open=shard.open, generation=generation)


def ask_for_moves(session: Session, actor: Actor, addresses: list[str], target: str) -> list[str]:
    """Have mailboxes moved, but for those that are there; the addresses. Raises Refused."""
    get_shard(session, target)
    wrong, moved = Collector(), []
    for address in addresses:
        with wrong:
            mailbox = session.scalar(
                select(Mailbox).where(Mailbox.email == parse_own_address(address, "address"))
            )
            if mailbox is None:
                said = "There is no such mailbox.", "mailctl user list shows what there is."
                raise Missing(Problem("address", address, *said))
            under_way = session.get(MailboxMove, mailbox.id)
            if under_way is not None and under_way.target != target:
                said = "It is being moved elsewhere.", "Wait until mailctl node list no longer shows it."
                raise Refused(Problem("address", address, *said))
            if under_way is None and mailbox.shard != target:
                moved.append(_ask(session, actor, mailbox, target))
    wrong.check()
    return moved


def spread(session: Session, actor: Actor, source: str, target: str, number: int) -> list[str]:
    """Have that many mailboxes of a shard moved, any that rest; their addresses. Raises Missing."""
    get_shard(session, target)
    resting = (
        select(Mailbox)
        .outerjoin(MailboxMove, MailboxMove.mailbox_id == Mailbox.id)
        .where(Mailbox.shard == source, Mailbox.deleted_at.is_(None), MailboxMove.mailbox_id.is_(None))
    )
    chosen = session.scalars(resting.order_by(Mailbox.id).limit(min(number, MOST_AT_ONCE)))
    return [_ask(session, actor, mailbox, target) for mailbox in chosen.all()]


def _ask(session: Session, actor: Actor, mailbox: Mailbox, target: str) -> str:
    now = utc_now()
    session.add(
        MailboxMove(mailbox_id=mailbox.id, source=mailbox.shard, target=target, asked_at=now, again_at=now)
    )
    record(session, actor, "mailbox.move", mailbox.email, before=mailbox.shard, after=target)
    return mailbox.email


def placement(session: Session) -> dict[str, Any]:
    """Every shard with what it holds, and the moves under way."""
    counted = select(Mailbox.shard, func.count(Mailbox.id), func.sum(MailboxUsage.used_bytes))
    counted = counted.outerjoin(MailboxUsage, MailboxUsage.mailbox_id == Mailbox.id).group_by(Mailbox.shard)
    held = {name: (number, int(size or 0)) for name, number, size in session.execute(counted)}
    shards = [
        {
            "name": each.name,
            "node": each.node,
            "open": each.open,
            "generation": each.generation,
            "mailboxes": held.get(each.name, (0, 0))[0],
            "bytes": held.get(each.name, (0, 0))[1],
        }
        for each in session.scalars(select(Shard).order_by(Shard.name))
    ]
    total = session.scalar(select(func.count()).select_from(MailboxMove)) or 0
    return {"shards": shards, "moves": _moves(session), "moving": total}


def _moves(session: Session) -> list[dict[str, Any]]:
    query = select(MailboxMove, Mailbox.email).join(Mailbox, Mailbox.id == MailboxMove.mailbox_id)
    query = query.order_by(MailboxMove.trouble == "", MailboxMove.asked_at, Mailbox.email).limit(MOST_SHOWN)
    return [
        {
            "email": email,
            "source": move.source,
            "target": move.target,
            "state": "merged" if move.merged_at else "moved" if move.flipped_at else "copying",
            "trouble": move.trouble,
            "asked_at": move.asked_at.replace(tzinfo=UTC).isoformat(),
        }
        for move, email in session.execute(query)
    ]
