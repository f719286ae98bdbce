"""The same change for many mailboxes, in transactions of bounded size: nobody waits for a lock for long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.database import Database
from usermgmt.models import Mailbox
from usermgmt.problems import Collector, Problem
from usermgmt.services.mailbox_list import Part

#: Mailboxes of a transaction, and transactions of a request.
BATCH, BATCHES = 100, 10


@dataclass
class Done:
    """What was changed, what was refused and why, and up to which id; `more`: something may be left."""

    changed: int = 0
    problems: list[Problem] = field(default_factory=list)
    last: int = 0
    more: bool = True


def change_part(database: Database, part: Part, change: Callable[[Session, int], object]) -> Done:
    """Do `change` to the mailboxes of a part by their ids, BATCH * BATCHES of them at most.

    What is refused stays as it is, and the others go on. A batch that breaks off leaves nothing half done.
    """
    done = Done(last=part.after)
    for _ in range(BATCHES):
        wrong = Collector()
        with database.transaction() as session:
            due = replace(part, after=done.last).numbers()
            numbers = list(session.scalars(due.order_by(Mailbox.id).limit(BATCH)))
            # Into the session at once, where `change` finds each.
            session.scalars(select(Mailbox).where(Mailbox.id.in_(numbers))).all()
            for number in numbers:
                before = len(wrong.problems)
                with wrong:
                    change(session, number)
                done.changed += len(wrong.problems) == before
        done.problems += wrong.problems
        done.last = numbers[-1] if numbers else done.last
        done.more = len(numbers) == BATCH
        if not done.more:
            break
    return done
