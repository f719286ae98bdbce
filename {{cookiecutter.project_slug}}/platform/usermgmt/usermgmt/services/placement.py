"""Which shard holds which mailbox, on several hosts; on one host there are no shards (models/shards.py)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import CursorResult, delete, func, insert, literal, select, update
from sqlalchemy.orm import Session

from usermgmt.addresses import parse_own_address
from usermgmt.models import FIRST_SHARD, Mailbox, MailboxMove, MailboxUsage, Shard, utc_now
from usermgmt.problems import Collector, Missing, Problem, Refused
from usermgmt.services.audit import Actor, record

#: Mailboxes that one request may have moved: each is an entry of the audit log.
MOST_AT_ONCE = 10_000
#: Moves that are shown, those in trouble first.
MOST_SHOWN = 200
#: When what a failed host holds is merged: somebody says that it is back.
NOT_BEFORE_IT_IS_BACK = datetime(9999, 1, 1)


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
    """Add a shard, or change its node, or whether it is open to new mailboxes."""
    now = session.get(Shard, wanted["name"])
    shard = now or Shard(name=wanted["name"], node=wanted["node"])
    shard.node, shard.open = wanted.get("node", shard.node), wanted.get("open", now.open if now else True)
    session.add(shard)
    record(session, actor, "shard.set", shard.name, node=shard.node, open=shard.open)


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
    now, held = utc_now(), {"source": mailbox.shard, "source_volume": mailbox.volume}
    there = {"target": target, "target_volume": f"{target}/{now:%y%m%d%H%M%S%f}"}
    move = MailboxMove(mailbox_id=mailbox.id, asked_at=now, again_at=now, **held, **there)
    session.add(move)
    record(session, actor, "mailbox.move", mailbox.email, before=mailbox.shard, after=target)
    return mailbox.email


def take_over(session: Session, actor: Actor, source: str, target: str, volumes: dict[str, str]) -> int:
    """The target's store serves a failed host's mailboxes from its copies; how many. Raises Refused.

    `volumes` says what the copy of each volume is called there. Whatever the failed host had not copied waits
    on it as a move that has been flipped, until it is back (`host_is_back`) or known to be lost.
    """
    get_shard(session, source).open = False
    get_shard(session, target)
    used = session.scalars(select(Mailbox.volume).where(Mailbox.shard == source).distinct())
    held = {volume.partition("/")[0] for volume in used}
    if without := sorted(held - volumes.keys()):
        wrong, instead = "This host has no copy of it.", "Run this where the copy is: mailctl node list."
        raise Refused([Problem("volume", name, wrong, instead) for name in without])
    touched = (MailboxMove.source == source) | (MailboxMove.target == source)
    session.execute(delete(MailboxMove).where(touched, MailboxMove.flipped_at.is_(None)))
    # Moved here a moment ago: the store that it came from still has all of it.
    came = update(MailboxMove).where(MailboxMove.target == source)
    session.execute(came.values(target=target, merged_at=None, again_at=utc_now()))
    left = update(MailboxMove).where(MailboxMove.source == source)
    session.execute(left.values(again_at=NOT_BEFORE_IT_IS_BACK))
    return _hand_over(session, actor, source, target, volumes)


def _hand_over(session: Session, actor: Actor, source: str, target: str, volumes: dict[str, str]) -> int:
    now = utc_now()
    under_way = select(MailboxMove.mailbox_id)
    there, at = (literal(target), literal("")), (literal(now), literal(now), literal(NOT_BEFORE_IT_IS_BACK))
    rows = select(Mailbox.id, Mailbox.shard, Mailbox.volume, *there, *at, literal(""), literal(""))
    rows = rows.where(Mailbox.shard == source, Mailbox.id.not_in(under_way))
    columns = "mailbox_id source source_volume target target_volume asked_at flipped_at again_at trouble seen"
    session.execute(insert(MailboxMove).from_select(columns.split(), rows))
    number = 0
    for old, new in volumes.items():
        # With the folders below it.
        mine = (Mailbox.volume == old) | Mailbox.volume.startswith(f"{old}/", autoescape=True)
        moved = literal(new) + func.substr(Mailbox.volume, len(old) + 1)
        change = update(Mailbox).where(Mailbox.shard == source, mine)
        done = session.execute(change.values(shard=target, volume=moved, version=Mailbox.version))
        number += cast("CursorResult[Any]", done).rowcount
    record(session, actor, "shard.take_over", source, after=target, mailboxes=number)
    return number


def host_is_back(session: Session, actor: Actor, source: str, lost: bool) -> int:
    """Merge what a host that failed had not copied; with `lost` it will never come, and is not waited for."""
    waiting = (MailboxMove.source == source, MailboxMove.again_at == NOT_BEFORE_IT_IS_BACK)
    ended = delete(MailboxMove).where(*waiting)
    begun = update(MailboxMove).where(*waiting).values(again_at=utc_now(), merged_at=None)
    done = session.execute(ended if lost else begun)
    number = cast("CursorResult[Any]", done).rowcount
    record(session, actor, "shard.lost" if lost else "shard.back", source, mailboxes=number)
    return number


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
            "state": _state(move),
            "trouble": move.trouble,
            "asked_at": move.asked_at.replace(tzinfo=UTC).isoformat(),
        }
        for move, email in session.execute(query)
    ]


def _state(move: MailboxMove) -> str:
    if move.again_at == NOT_BEFORE_IT_IS_BACK:
        return "waits for its host"
    return "merged" if move.merged_at else "moved" if move.flipped_at else "copying"
