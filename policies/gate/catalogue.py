"""Every id that a report can show, and what somebody who mistyped one may have meant."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Collection, Iterable

from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import load
from policies.gate.own_checks import FRAMEWORKS, how_to_fix, skipped_because
from policies.model import Severity


def ours() -> dict[str, Info]:
    """Return every rule and checker of ours."""
    return {name: of_rule(rule) for name, rule in load().items()} | OTHERS


def checkovs() -> dict[str, Info]:
    """Return checkov's own checks of the frameworks that the gate runs; it takes a moment to ask for them."""
    os.environ.setdefault("BC_SKIP_MAPPING", "TRUE")
    logging.getLogger().setLevel(logging.ERROR)
    from checkov.docs_generator import get_checks

    rows = [tuple(map(str, row)) for row in get_checks(list(FRAMEWORKS))]
    return {row[0]: _of_checkov(*row) for row in rows if row[0].startswith("CKV")}


def _of_checkov(name: str, kind: str, entity: str, demand: str, framework: str, link: str) -> Info:
    about = f"A check that comes with checkov ({framework}), about {entity}."
    if reason := skipped_because(name):
        about += f" The gate leaves it out: {reason}"
    link, judges = link if link.startswith("https://") else "", FRAMEWORKS[framework.lower()]
    return Info(name, demand, Severity.MEDIUM, "checkov", about, how_to_fix(demand), link=link, judges=judges)


def _like(name: str) -> dict[str, Info]:
    """Return all rules among which a name may be: checkov's, or ours."""
    return checkovs() if name.upper().startswith("CKV") else ours()


def lookup(name: str) -> Info:
    """Return what is known about an id, in whatever letters; raises ValueError for one that nobody has."""
    known = _like(name)
    if name.upper() not in known:
        raise ValueError(f"{name}: there is no such rule; {meant(name, known)}")
    return known[name.upper()]


def meant(name: str, known: Collection[str]) -> str:
    """Return a hint for an id that does not exist."""
    near = difflib.get_close_matches(name.upper(), list(known), 3, 0.7)
    return f"did you mean {' or '.join(near)}?" if near else "--list names them"


def chosen(names: Iterable[str], families: Collection[str]) -> dict[str, Info]:
    """Return the rules of some kinds that names stand for, each an id or the beginning of several (MAIL_CMP);
    all of ours without a name. Raises ValueError for a name that stands for none.
    """
    found = {} if names else ours()
    for name in names:
        known, beginning = _like(name), name.upper().rstrip("_*") + "_"
        named = [each for each in known if each == name.upper() or each.startswith(beginning)]
        found |= {each: known[each] for each in named or [lookup(name).id]}
    found = {name: info for name, info in found.items() if info.judges in ("", *families)}
    if not found:
        raise ValueError("no rule is named by both --only and --families")
    return found
