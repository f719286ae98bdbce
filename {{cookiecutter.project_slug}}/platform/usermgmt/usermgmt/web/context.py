"""What the pages share: the person who is logged in, and what a form or an address asks for."""

from __future__ import annotations

from flask import flash, g, request

from usermgmt.parts import client_address
from usermgmt.permissions import scope
from usermgmt.services.accounts import Account
from usermgmt.services.audit import Actor


def current_account() -> Account:
    """Who is logged in; only for pages behind the log-in."""
    account: Account = g.account
    return account


def actor() -> Actor:
    """Who acts, for the audit log."""
    return Actor(current_account().email, client_address(), permitted())


def permitted() -> frozenset[int] | None:
    """The domains that the person may see and touch; None for all."""
    return scope(current_account())


def tell(text: str, **values: str) -> None:
    """Say `text`, translated and filled in from `values`, on the next page that this person sees."""
    # Flask keeps whatever the session can hold; base.html reads this form.
    flash({"text": text, "values": values})  # type: ignore[arg-type]


def seen_version(field: str = "version") -> int | None:
    """The version of what a form was filled in for; None if it does not say."""
    text = request.values.get(field, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def page_number() -> int:
    """The page of a list that is asked for, from 1; anything odd is the first."""
    text = request.args.get("page", "1")
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1
