"""What policies/data/settings/<service>.yml demands of single settings, compared with what files say.

A row is `names: {…}`: names (with * and ?, several behind commas) and what their value must be. `only` is a
pattern that fits the whole value, `never` one that fits no part of it, `least` and `most` are bounds of an
amount in `unit`, `tls: true` asks for TLS 1.2. `inside` is a pattern of the blocks around a setting.
`default` is what the service takes when nothing is written, if that must be judged, too. `why` says what a
wrong value does, `should` what to write.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from policies.config.braces import Block
from policies.config.postfix import Parameters, is_modern
from policies.config.settings import Settings
from policies.model import Found, Place
from policies.shared import tables

AMOUNT = re.compile(r"^(?P<number>-?\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)$", re.IGNORECASE)
TIMES = {"ms": 0.001, "msec": 0.001, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600}
TIMES |= {"d": 86400, "day": 86400, "w": 604800, "week": 604800, "y": 31536000}
SIZES = {"b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}


@dataclass(frozen=True)
class Given:
    """One setting as a file has it; `inside` names the blocks around it, `raw` is the value as written."""

    name: str
    value: str
    place: Place
    inside: str = ""
    raw: str = ""


@lru_cache(maxsize=16)
def rows(service: str) -> list[tuple[list[str], dict[str, Any]]]:
    """Return the rows of a service's table: the names, and what is demanded."""
    table = tables.table(f"settings/{service}")
    return [(re.split(r",\s*", names), row) for names, row in table.items()]


def found(service: str, settings: Iterable[Given], whole: Place | None = None) -> Iterator[Found]:
    """Yield each setting that breaks a row, once a line; with `whole` also what is missing from that file."""
    settings = list(settings)
    if whole is not None:
        settings += _missing(service, settings, whole)
    seen = set()
    for each in settings:
        for names, row in rows(service):
            fits = any(fnmatchcase(each.name.lower(), name) for name in names)
            if fits and re.search(row.get("inside", ""), each.inside) and _wrong(each, row):
                written = each.raw if each.raw and each.raw != each.value else each.value
                what = f"{each.name} is {_short(written)}: {row['why']}"
                if (each.place, what) not in seen:
                    seen.add((each.place, what))
                    yield Found(each.place, what, _should(each.name, row), service)


def _short(value: str) -> str:
    """Return a value for a message: on one line, and not too long."""
    value = " ".join(value.split())
    return (value if len(value) <= 60 else f"{value[:60]}…") or "nothing"


def _missing(service: str, settings: list[Given], whole: Place) -> list[Given]:
    known = {each.name.lower() for each in settings}
    return [
        Given(name, str(row["default"]), whole)
        for names, row in rows(service)
        if "default" in row
        for name in names
        if name not in known
    ]


def _should(name: str, row: dict[str, Any]) -> str:
    return row.get("should") or f"leave {name} out"


def _wrong(each: Given, row: dict[str, Any]) -> bool:
    value = each.value.strip()
    if "only" in row and not re.fullmatch(str(row["only"]), value, re.IGNORECASE | re.DOTALL):
        return True
    if "never" in row and re.search(str(row["never"]), f"{each.raw}\n{value}", re.IGNORECASE | re.MULTILINE):
        return True
    if row.get("tls") and not is_modern(value):
        return True
    if "least" not in row and "most" not in row:
        return False
    amount = _amount(value, str(row.get("unit", "")))
    return amount is None or not row.get("least", amount) <= amount <= row.get("most", amount)


def _amount(value: str, unit: str) -> float | None:
    """Return an amount in seconds or bytes; `unit` is that of a bare number, none means plain numbers."""
    matched = AMOUNT.match(value)
    if not matched:
        return None
    factors: dict[str, float] = SIZES if unit in ("b", "bytes") else TIMES
    given = (matched["unit"] or unit).lower()
    factor = factors.get(given, factors.get(given.removesuffix("s"))) if given else 1
    return None if factor is None else float(matched["number"]) * factor


def of_parameters(view: Parameters, names: Iterable[str]) -> Iterator[Given]:
    """Yield Postfix's parameters of some names, expanded as the process sees them."""
    for name in names:
        yield Given(name, view.expanded(name), view.where(name), "", view.get(name))


def of_block(tree: Block, inside: str = "") -> Iterator[Given]:
    """Yield the settings of a file with braces; `inside` is like `/service auth/inet_listener sasl`."""
    for setting in tree.settings:
        yield Given(setting.name, setting.value, setting.place, inside)
    for block in tree.blocks:
        yield from of_block(block, f"{inside}/{block.name} {block.label}".rstrip())


def of_flat(settings: Settings) -> Iterator[Given]:
    """Yield the settings of a flat file."""
    for name, value in settings.values.items():
        yield Given(name, value, settings.where(name))
