"""The summary for a pull request: what it shows comes from strangers, and no value may be more than text."""

from __future__ import annotations

import re

from policies.gate.messages import command, count, headline, one_line, shown, together, unspoken, with_entity
from policies.gate.run import Result
from policies.model import Finding

#: How much room each part has, in bytes: GitHub takes comments of 65,536 characters.
PROBLEMS, FINDINGS, MORE = 20_000, 25_000, 5_000
#: Begins the summary: `make check-comment` knows by it which comment to renew. Nobody sees it.
MARK = "<!-- gate -->"
SPECIAL = re.compile(r"([\\`*\[\]{}~#!|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def markdown(result: Result) -> str:
    """Return the summary for a pull request, short enough for a comment."""
    report = result.report
    mark = {0: "✅", 1: "❌", 2: "⚠️"}[report.exit_code]
    lines = [MARK, f"## {mark} Gate", "", headline(result), ""]

    def said(each: Finding) -> tuple[str, str, str]:
        return each.rule, with_entity(each), each.should

    problems = [
        _row(_text(each.kind), _code(shown(each.place)), *map(_text, (each.what, each.fix)))
        for each in report.problems
    ]
    findings = [
        _row(each.severity.word, _code(shown(each.place)), *map(_text, said(each)))
        for each in together(report.findings)
    ]
    waived = [
        _row(_code(shown(each.place)), *map(_text, (each.rule, with_entity(each), each.waived)))
        for each in report.waived
    ]
    notes = [f"- {_text(note)}" for note in report.notes]
    fixes = dict.fromkeys(f"- {_text(each.rule)}: {_text(each.fix)}" for each in report.findings)
    lines += _table(("problem", "place", "is", "fix"), problems, PROBLEMS)
    lines += _table(("severity", "place", "rule", "is", "should be"), findings, FINDINGS)
    lines += _folded(f"How to fix ({command('--explain RULE')} says more)", _within(list(fixes), MORE))
    lines += _folded(f"Waived: {len(waived)}", _table(("place", "rule", "is", "waiver"), waived, MORE))
    lines += _folded(count(notes, "note"), _within(notes, MORE))
    return "\n".join(lines).rstrip() + "\n"


def _folded(summary: str, inner: list[str]) -> list[str]:
    """Return lines that open on a click."""
    start, end = f"<details><summary>{_text(summary)}</summary>", "</details>"
    return [start, "", *inner, "", end, ""] if inner else []


def _table(head: tuple[str, ...], rows: list[str], room: int) -> list[str]:
    return [_row(*head), "|---" * len(head) + "|", *_within(rows, room), ""] if rows else []


def _within(rows: list[str], room: int) -> list[str]:
    """Return as many rows as there is room for, and how many are left out."""
    for number, row in enumerate(rows):
        room -= len(row.encode()) + 1
        if room < 0:
            left_out = f"{len(rows) - number} more are left out here: `{command()}` shows them."
            return [*rows[:number], "", left_out]
    return rows


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(text: str) -> str:
    """Return a text that Markdown and GitHub take for nothing but text: no markup, no picture, no mention."""
    plain = SPECIAL.sub(r"\\\1", one_line(text)).replace("&", "&amp;")
    return plain.replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


def _code(text: str) -> str:
    """Return a text as code; nothing in it ends the code or the cell."""
    return "`" + unspoken(text).replace("`", "'").replace("|", "\\|") + "`"
