"""The canaries of `mailctl deploy` have accounts that nobody administers: no page and no list shows them.

One rule, on every question that the application asks of the tables; the command line sees all there is.
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, sessionmaker, with_loader_criteria

from usermgmt.models import Alias, Domain, Mailbox

#: The domain that mailctl keeps for them, and those below it: reserved names (RFC 6761), so never anybody's.
OWN = "%mailctl-canary.test"
RULE = (
    with_loader_criteria(Domain, Domain.name.not_like(OWN)),
    with_loader_criteria(Mailbox, Mailbox.email.not_like(OWN)),
    with_loader_criteria(Alias, Alias.source.not_like(OWN)),
)


def is_canary(address: str) -> bool:
    """Whether an account is one of the canaries'."""
    return address.endswith(OWN.removeprefix("%"))


def hide_canaries(sessions: sessionmaker[Session]) -> None:
    """Leave the canaries' rows out of whatever sessions of this kind read."""

    def without(state: ORMExecuteState) -> None:
        if state.is_select:
            state.statement = state.statement.options(*RULE)

    event.listen(sessions, "do_orm_execute", without)
