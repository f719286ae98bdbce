"""The summary for a pull request: what it shows comes from strangers, and no value may be more than text."""

from __future__ import annotations

import re

from policies.gate.check import Result
from policies.gate.wording import headline, together, with_entity

#: GitHub takes comments of 65,536 characters; what stands around the rows needs some as well.
MOST = 60_000
#: Begins the summary: `make check-comment` knows by it which comment to renew. Nobody sees it.
MARK = "<!-- gate -->"
SPECIAL = re.compile(r"([\\`*\[\]{}~#!|]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")


def markdown(result: Result) -> str:
    """Return the summary for a pull request, short enough for a comment."""
    report = result.report
    mark = {0: "✅", 1: "❌", 2: "⚠️"}[report.exit_code]
    lines = [MARK, f"## {mark} Gate", "", headline(result), ""]
    problems = [
        _row(_text(each.kind), _code(str(each.place)), _text(each.what), _text(each.fix))
        for each in report.problems
    ]
    findings = [
        _row(
            each.severity.word,
            _code(str(each.place)),
            _text(each.rule),
            _text(with_entity(each)),
            _text(each.should),
        )
        for each in together(report.findings)
    ]
    waived = [
        _row(_code(str(each.place)), _text(each.rule), _text(each.what), _text(each.waived))
        for each in report.waived
    ]
    room = MOST - sum(len(_text(note)) + 3 for note in report.notes)
    room = _table(lines, ("problem", "place", "is", "mend"), problems, room)
    room = _table(lines, ("severity", "place", "rule", "is", "should be"), findings, room)
    if findings:
        lines += ["How to mend them: `python -m policies check --explain RULE`", ""]
    if waived:
        lines += ["<details><summary>Waived</summary>", ""]
        _table(lines, ("place", "rule", "is", "waiver"), waived, room)
        lines += ["</details>", ""]
    lines += [f"- {_text(note)}" for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def _table(lines: list[str], head: tuple[str, ...], rows: list[str], room: int) -> int:
    """Add as many rows as there is room for, say how many are left out, and return the room that is left."""
    if not rows:
        return room
    lines += [_row(*head), "|---" * len(head) + "|"]
    for number, row in enumerate(rows):
        if len(row.encode()) > room:
            lines += ["", f"{len(rows) - number} more are left out here: `make check` shows them.", ""]
            return 0
        lines.append(row)
        room -= len(row.encode()) + 1
    lines.append("")
    return room


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(text: str) -> str:
    """Return a text that Markdown and GitHub take for nothing but text: no markup, no picture, no mention."""
    plain = SPECIAL.sub(r"\\\1", _visible(" ".join(text.split()))).replace("&", "&amp;")
    return plain.replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


def _code(text: str) -> str:
    """Return a text as code; nothing in it ends the code or the cell."""
    return "`" + _visible(" ".join(text.split())).replace("`", "'").replace("|", "\\|") + "`"


def _visible(text: str) -> str:
    """Return a text in which signs that nobody sees are written out."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )
