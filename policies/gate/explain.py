"""Rules in words: for the terminal, and as the page that is generated from the code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from policies.gate.info import COLOURS, Info

TITLES = {
    "compose": "Compose", "dockerfile": "Dockerfiles", "terraform": "Terraform", "actions": "GitHub Actions",
    "configuration": "Service configuration", "repository": "The repository", "schema": "Schemas",
    "syntax": "Syntax checkers", "checkov": "checkov's own checks",
}  # fmt: skip
HEAD = """\
# The rules of the gate

Made from the code by `make policies-docs`; a test compares the two. How to add a rule: policies/README.md.
An exception is a waiver in `policy.yml`, never a comment.
"""


def in_order(infos: Iterable[Info]) -> list[Info]:
    """Return the rules by family, then by id."""
    order = list(TITLES)
    return sorted(infos, key=lambda info: (order.index(info.family), info.id))


def explained(info: Info) -> str:
    """Return one rule with why, how to mend it, and both examples, as Markdown."""
    parts = [
        f"### {info.id}",
        "",
        f"**{info.name}** ({info.severity.word})",
        "",
        info.why,
        "",
        f"Mend: {info.fix}",
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
    """Return the page with every rule."""
    parts = [HEAD]
    for family, members in groupby(in_order(infos.values()), key=lambda info: info.family):
        parts.append(f"## {TITLES[family]}\n")
        parts += [explained(info) for info in members]
    return "\n".join(parts).rstrip() + "\n"


def show(infos: Iterable[Info], console: Console) -> None:
    """Write the rules to a terminal, by family."""
    for family, members in groupby(infos, key=lambda info: info.family):
        console.print(f"\n[bold]{TITLES[family]}[/]")
        rows = Table.grid(padding=(0, 1))
        for info in members:
            rows.add_row(info.id, f"[{COLOURS[info.severity]}]{info.severity.word}[/]", escape(info.name))
        console.print(rows, soft_wrap=False)
    console.print("\n[dim]--explain RULE says why, and how to mend it[/]")
