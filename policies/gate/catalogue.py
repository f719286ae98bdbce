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

    rows = [tuple(map(str, row)) for row in get_checks(list(FRAMEWORKS))]
    return {row[0]: _of_checkov(*row) for row in rows if row[0].startswith(CHECKOV)}


def _of_checkov(name: str, kind: str, entity: str, demand: str, framework: str, link: str) -> Info:
    about = f"A check that comes with checkov ({framework}), about {entity}."
    if reason := skipped_because(name):
        about += f" The gate leaves it out: {reason}"
    link, judges = link if link.startswith("https://") else "", FRAMEWORKS[framework.lower()]
    return Info(name, demand, Severity.MEDIUM, "checkov", about, how_to_fix(demand), link=link, judges=judges)


def like(name: str) -> dict[str, Info]:
    """Return all rules among which a name may be: checkov's, or ours."""
    return checkovs() if name.strip().upper().startswith(CHECKOV) else ours()


def lookup(name: str) -> Info | None:
    """Return what is known about an id, in whatever letters it is written."""
    return like(name).get(name.strip().upper())


def meant(name: str, known: Collection[str]) -> str:
    """Return a hint for an id that does not exist."""
    first = next((each for each in sorted(known) if each.startswith(name.upper())), "")
    if first and name:
        several = first.rpartition("_")[0]
        return f"did you mean {first}? `--list --only {several}` names all that begin so"
    near = difflib.get_close_matches(name.upper(), list(known), 3, 0.7)
    return f"did you mean {' or '.join(near)}?" if near else "--list names them"


def _named(name: str) -> dict[str, Info]:
    """Return what a name stands for: an id, or the beginning of several (MAIL_CMP)."""
    wanted, known = name.upper(), like(name)
    beginning = wanted.rstrip("_*") + "_"
    found = {each: info for each, info in known.items() if each == wanted or each.startswith(beginning)}
    if not found:
        raise ValueError(f"--only {name}: there is no such rule; {meant(name, known)}")
    return found


def infos(names: Iterable[str], families: Collection[str]) -> list[Info]:
    """Return what is known about the rules that names stand for (all of ours without one), of some kinds."""
    found = {each: info for name in names for each, info in _named(name).items()}
    return [info for info in (found or ours()).values() if info.judges in ("", *families)]


def chosen(names: Iterable[str], families: Collection[str]) -> tuple[str, ...]:
    """Return the ids that names stand for.

    Raises ValueError for a name that stands for none, or for none that would run: a gate that runs nothing
    must not look clean.
    """
    found: dict[str, Info] = {}
    for name in names:
        named = _named(name)
        judged = [info for info in named.values() if info.judges in ("", *families)]
        if not judged:
            kinds = ",".join(dict.fromkeys(info.judges for info in named.values()))
            left = f"--families {','.join(families)} leaves out: add it, or drop --families"
            raise ValueError(f"--only {name}: it judges {kinds}, which {left}")
        if all(reasons := [skipped_because(info.id) for info in judged]):
            reason = f"(policies/gate/checkov.yml): {reasons[0]}"
            raise ValueError(f"--only {name}: the gate leaves it out {reason}")
        found |= named
    return tuple(found)
