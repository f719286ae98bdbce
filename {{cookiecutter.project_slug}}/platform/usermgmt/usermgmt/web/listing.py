"""What a list is asked for, in its address or in its form: text, domain, state, order and page."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from flask import request, url_for

from usermgmt.parts import database
from usermgmt.services.domains import names_of
from usermgmt.web.context import permitted

#: More domains than these are typed, not chosen from a list that would be heavier than the page.
MOST_OFFERED = 20


@dataclass(frozen=True)
class Listing:
    """One list as it was asked for. What the list does not know is taken for its default."""

    endpoint: str
    states: dict[str, str]
    orders: dict[str, str]
    search: str = ""
    domain: str = ""
    state: str = ""
    order: str = ""
    page: int = 1
    #: The domains to choose from; none if there are too many.
    domains: list[str] = field(default_factory=list)

    @property
    def filtered(self) -> bool:
        """Whether it is a part of all."""
        return bool(self.search or self.domain or self.state)

    def query(self, **changes: Any) -> dict[str, Any]:
        """The parameters of its address; those that are the default are left out."""
        page = None if self.page == 1 else self.page
        usual = self.order == next(iter(self.orders))
        now = {"q": self.search, "domain": self.domain, "state": self.state, "page": page}
        now["sort"] = "" if usual else self.order
        return {name: value for name, value in {**now, **changes}.items() if value}

    def link(self, **changes: Any) -> str:
        """Its address, with some parameters changed."""
        return url_for(self.endpoint, **self.query(**changes))

    def direction(self, column: str) -> str:
        """How it is sorted by a column, as aria-sort says it; nothing if it is sorted by another."""
        return {column: "ascending", f"-{column}": "descending"}.get(self.order, "")

    def sort_link(self, column: str) -> str:
        """Its address sorted by a column; the other way round if it is so already."""
        order = f"-{column}" if self.order == column else column
        return self.link(sort="" if order == next(iter(self.orders)) else order, page=None)


def word(name: str, known: Collection[str], default: str = "") -> str:
    """A parameter, if it is one of those that are known."""
    said = request.values.get(name, "")
    return said if said in known else default


def asked(endpoint: str, states: dict[str, str], orders: dict[str, str]) -> Listing:
    """The list that this request asks for. `states` and `orders`: what there is, with its name for people."""
    text = request.values.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 1
    with database().transaction() as db:
        names = names_of(db, permitted(), MOST_OFFERED + 1)
    both = {*orders, *(f"-{each}" for each in orders)}
    return Listing(
        endpoint,
        states,
        orders,
        request.values.get("q", "")[:320],
        request.values.get("domain", "").strip().lower()[:253],
        word("state", states),
        word("sort", both, next(iter(orders))),
        max(number, 1),
        names if len(names) <= MOST_OFFERED else [],
    )
