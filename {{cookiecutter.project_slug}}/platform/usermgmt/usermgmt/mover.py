"""Takes mailboxes from one shard to another, so that nobody loses a mail and nobody waits for long.

Two copies while people go on (the second one is short), then the row that says who serves the mailbox, then
the open sessions end, then whatever came to the source meanwhile is merged into the target. What the source
still holds is looked at once more when no delivery can be under way to it any more, and only then removed.
Each step may be repeated, so after a crash the mover goes on at the step that is not noted as done. One mover
works at a time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event

from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.mail.stores import PASS_SECONDS, StoreFailed, Stores
from usermgmt.models import Mailbox, MailboxMove, utc_now

log = logging.getLogger("usermgmt.mover")
#: Longer than a delivery that has begun may take: Postfix waits 600 s for it (lmtp_data_done_timeout).
SETTLED = timedelta(minutes=15)
#: Before a failed step is tried again.
PAUSE, LONG_PAUSE = timedelta(seconds=30), timedelta(hours=1)
IDLE_SECONDS = 2.0
#: Merges in a row, while the source still changes.
MERGES = 20
LOCK = "mailctl-mover"
#: Touched before each mailbox and while there is none.
BEAT = Path("/tmp/mover")  # noqa: S108 - in memory, of this container alone


def alive(beat: Path) -> bool:
    """Whether a mover has lately begun something, or may be at a mailbox as large as there can be."""
    return beat.exists() and time.time() - beat.stat().st_mtime < 2 * PASS_SECONDS


@dataclass
class Mover:
    """What it works with. `step` is told before each step; a test stops it there."""

    database: Database
    stores: Stores
    settled: timedelta = SETTLED
    step: Callable[[str], None] = lambda name: log.debug("%s", name)

    def run(self, ended: Event) -> None:
        """Move what is due until `ended`."""
        while not ended.is_set():
            try:
                with self.database.engine.connect() as connection:
                    while self._alone(connection) and not ended.is_set() and self.once():
                        pass
            except DBAPIError as error:
                log.error("the database: %s", error.orig)
            ended.wait(IDLE_SECONDS)

    def _alone(self, connection: Connection) -> bool:
        """Whether this mover may work: the lock lives as long as the connection."""
        held: bool = connection.scalar(text("SELECT GET_LOCK(:name, 0)"), {"name": LOCK}) == 1
        connection.rollback()
        return held

    def once(self) -> bool:
        """Take one mailbox as far as it goes now; whether there was one."""
        BEAT.touch()
        with self.database.transaction() as session:
            due = select(MailboxMove).where(MailboxMove.again_at <= utc_now())
            # What has begun comes to its end first.
            begun = due.order_by(MailboxMove.flipped_at.is_(None), MailboxMove.again_at).limit(1)
            move = session.scalar(begun)
            owner = session.get(Mailbox, move.mailbox_id) if move else None
            session.expunge_all()
        if move is None or owner is None:
            return False
        try:
            self._advance(move, owner.email)
        except StoreFailed as error:
            log.error("%s, from shard %s: %s", owner.email, move.source, error)
            # Of a mailbox that is disabled or deleted no store knows anything; it may be restored.
            pause = PAUSE if owner.active and owner.deleted_at is None else LONG_PAUSE
            self._note(move, again_at=utc_now() + pause, trouble=str(error)[:255])
        return True

    def _advance(self, move: MailboxMove, address: str) -> None:
        source, target = move.source, move.target
        if move.merged_at is not None:
            return self._settle(move, address)
        if move.flipped_at is None:
            for number in (1, 2):
                self.step(f"copy {number}")
                self.stores.copy(address, source, target)
            self.step("flip")
            self._flip(move)
        self.step("kick")
        self.stores.kick(address, source)
        self.step("merge")
        seen = self._merge(move, address)
        self.step("note")
        self._note(move, merged_at=utc_now(), again_at=utc_now() + self.settled, seen=seen, trouble="")
        log.info("%s moved from shard %s to %s", address, source, target)
        return None

    def _merge(self, move: MailboxMove, address: str) -> str:
        """Merge until the source rests; what it held then."""
        for _ in range(MERGES):
            before = self.stores.state(address, move.source)
            whole = self.stores.merge(address, move.source, move.target)
            if whole and before == self.stores.state(address, move.source):
                return before
        raise StoreFailed(f"store {move.source}: {address} does not come to rest")

    def _settle(self, move: MailboxMove, address: str) -> None:
        """No delivery can be under way to the source any more: merge what came late, then remove it."""
        self.step("settle")
        if self.stores.state(address, move.source) != move.seen:
            log.warning("%s: something came to shard %s late", address, move.source)
            self._merge(move, address)
        self.stores.empty(address, move.source)
        with self.database.transaction() as session:
            session.delete(session.merge(move))

    def _flip(self, move: MailboxMove) -> None:
        """From here on the target serves the mailbox: one commit."""
        with self.database.transaction() as session:
            _lock(session, move)
            # Not by the object: nobody who edits the mailbox at this moment shall be told of a conflict.
            own = update(Mailbox).where(Mailbox.id == move.mailbox_id, Mailbox.shard == move.source)
            session.execute(own.values(shard=move.target, volume=move.target_volume, version=Mailbox.version))
            now = utc_now()
            changed = update(MailboxMove).where(MailboxMove.mailbox_id == move.mailbox_id)
            session.execute(changed.values(flipped_at=now))
            move.flipped_at = now

    def _note(self, move: MailboxMove, **values: object) -> None:
        with self.database.transaction() as session:
            session.execute(
                update(MailboxMove).where(MailboxMove.mailbox_id == move.mailbox_id).values(**values)
            )


def _lock(session: Session, move: MailboxMove) -> None:
    """Hold the row. Raises StoreFailed if another mover has taken the mailbox further."""
    row = session.get(MailboxMove, move.mailbox_id, with_for_update=True)
    if row is None or row.flipped_at is not None:
        raise StoreFailed("another mover has moved it")
    session.expunge(row)
