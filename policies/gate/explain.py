"""Rules in words: for the terminal, and as the page that is generated from the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby

from policies.gate.info import Info

TITLES = {
    "compose": "Compose", "dockerfile": "Dockerfiles", "terraform": "Terraform",
    "workflows": "GitHub workflows", "config": "Service configuration", "repository": "The repository",
    "schema": "Schemas", "syntax": "Syntax checkers", "checkov": "checkov's own checks",
}  # fmt: skip
HEAD = """\
# The rules of the gate

Made from the rules by `make policies-docs`. `make check CHECK="--explain RULE"` shows examples as well.
A decision of your host, or an exception for a time, goes into `policy.yml`.
"""


def in_order(infos: Iterable[Info]) -> list[Info]:
    """Return the rules by family, then by id."""
    order = list(TITLES)
    return sorted(infos, key=lambda info: (order.index(info.family), info.id))


def explained(info: Info) -> str:
    """Return one rule with why, how to fix it, and both examples, as Markdown."""
    parts = [
        f"### {info.id}",
        "",
        f"**{info.name}** ({info.severity.word})",
        "",
        info.why,
        "",
        f"Fix: {info.fix}",
        "",
    ]
    for title, example in (("Bad", info.bad), ("Good", info.good)):
        if example:
            parts += [f"{title}:", "", f"```{info.language}", example.rstrip("\n"), "```", ""]
    if info.link:
        parts += [f"See {info.link}", ""]
    return "\n".join(parts)


def as_data(info: Info) -> dict[str, str]:
    """Return one rule for programs."""
    return asdict(info) | {"severity": info.severity.word}


def page(infos: Mapping[str, Info]) -> str:
    """Return the page with every rule: a table of all, then one short section each."""
    rules = in_order(infos.values())
    parts = [HEAD, "| rule | severity | what it demands |\n|---|---|---|"]
    for each in rules:
        name = each.name.replace("|", "\\|")
        parts.append(f"| [{each.id}](#{each.id.lower()}) | {each.severity.word} | {name} |")
    for family, members in groupby(rules, key=lambda info: info.family):
        parts.append(f"\n## {TITLES[family]}")
        parts += [f"\n### {each.id}\n\n{' '.join(each.why.split())} **Fix:** {each.fix}" for each in members]
    return "\n".join(parts).rstrip() + "\n"
