"""Every id that a report can show, and what somebody who mistyped one may have meant."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Iterable

from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import load
from policies.gate.own_checks import FRAMEWORKS
from policies.model import Severity

#: checkov's own ids begin so.
CHECKOV = "CKV"


def ours() -> dict[str, Info]:
    """Return every rule and checker of ours."""
    return {rule.rule_id: of_rule(rule) for rule in load().rules.values()} | OTHERS


def checkovs() -> dict[str, Info]:
    """Return checkov's own checks of the frameworks that the gate runs; it takes a moment to ask for them."""
    os.environ.setdefault("BC_SKIP_MAPPING", "TRUE")
    logging.getLogger().setLevel(logging.ERROR)
    from checkov.docs_generator import get_checks

    found = {}
    for row in get_checks(list(FRAMEWORKS)):
        name, entity, title, link = str(row[0]), str(row[2]), str(row[3]), str(row[-1])
        about = f"A check that comes with checkov, about {entity}. checkov's pages say why."
        link = link if link.startswith("https://") else ""
        found.setdefault(
            name, Info(name, title, Severity.MEDIUM, "checkov", about, "Mend it, or waive it", link=link)
        )
    return {name: info for name, info in found.items() if not name.startswith("MAIL_")}


def lookup(name: str) -> Info | None:
    """Return what is known about an id, in whatever letters it is written."""
    wanted = name.strip().upper()
    if wanted.startswith(CHECKOV):
        return checkovs().get(wanted)
    return ours().get(wanted)


def meant(name: str, known: Iterable[str]) -> str:
    """Return a hint for an id that does not exist."""
    near = difflib.get_close_matches(name.upper(), list(known), 3, 0.7)
    return f"did you mean {' or '.join(near)}?" if near else "--list names them"


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return the ids that names stand for: each an id, or the beginning of several (MAIL_CMP).

    Raises ValueError for a name that stands for none: a gate that runs nothing must not look clean.
    """
    found: list[str] = []
    for name in names:
        wanted = name.upper()
        known = checkovs() if wanted.startswith(CHECKOV) else ours()
        several = [each for each in known if each.startswith(wanted.rstrip("_*") + "_")]
        if wanted in known:
            found.append(wanted)
        elif several:
            found += several
        else:
            raise ValueError(f"there is no rule {name}; {meant(name, known)}")
    return tuple(dict.fromkeys(found))
