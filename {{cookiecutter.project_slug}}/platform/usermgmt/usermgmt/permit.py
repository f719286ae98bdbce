"""What each page and each operation of the API does: a row of permissions.ACTIONS, said beside it.

Both ask here before they begin: what is not said is refused, and what is somebody else's is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import current_app, request

from usermgmt.models import (
    LARGEST_ID,
    Admin,
    Alias,
    ApiToken,
    Domain,
    Mailbox,
    MailReport,
    SenderRule,
)
from usermgmt.parts import database
from usermgmt.permissions import ACTIONS, Account, Thing, may

View = TypeVar("View", bound=Callable[..., Any])

#: What a number in a path is of.
THINGS: dict[str, Any] = {
    "domain_id": Domain,
    "mailbox_id": Mailbox,
    "deleted_id": Mailbox,
    "alias_id": Alias,
    "report_id": MailReport,
    "rule_id": SenderRule,
    "admin_id": Admin,
}


class NotPermitted(Exception):
    """The role, or the token, may not do this at all."""


class NotTheirs(Exception):
    """A thing in the path is not there, or somebody else's, which is answered alike."""


def permits(action: str) -> Callable[[View], View]:
    """Say what a view does: a row of permissions.ACTIONS. The innermost decorator, so that others keep it."""
    if action not in ACTIONS:
        raise ValueError(f"permissions.ACTIONS has no row {action!r}: add it there")

    def decorate(view: View) -> View:
        view.action = action  # type: ignore[attr-defined]
        return view

    return decorate


def action_of(endpoint: str | None) -> str:
    """What the view of an endpoint does; nothing if it does not say, which nobody may."""
    action: str = getattr(current_app.view_functions.get(endpoint or ""), "action", "")
    return action


def check_permission(account: Account | None, token: ApiToken | None = None) -> list[Thing | Admin]:
    """Raise NotPermitted or NotTheirs unless the account, with its token, may do what this request asks for.

    Returns the things that the path names.
    """
    action = action_of(request.endpoint)
    if not may(account, action, token=token):
        raise NotPermitted
    found: list[Thing | Admin] = []
    with database().transaction() as db:
        for name, number in (request.view_args or {}).items():
            if name not in THINGS:
                continue
            thing = db.get(THINGS[name], number) if number <= LARGEST_ID else None
            # Admins belong to no domain; only owners have an action about them.
            if thing is None or not (isinstance(thing, Admin) or may(account, action, thing, token)):
                raise NotTheirs
            found.append(thing)
    return found
