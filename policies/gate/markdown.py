"""The summary for a pull request: what it shows comes from strangers, and no value may be more than text."""

from __future__ import annotations

import re

from policies.gate.messages import command, count, headline, one_line, shown, together, unspoken, with_entity
from policies.gate.run import Result
from policies.model import Finding

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
        _row(_text(each.kind), _code(shown(each.place)), _text(each.what), _text(each.fix))
        for each in report.problems
    ]
    findings = [
        _row(
            each.severity.word,
            _code(shown(each.place)),
            _text(each.rule),
            _text(with_entity(each)),
            _text(each.should),
        )
        for each in together(report.findings)
    ]
    waived = [
        _row(_code(shown(each.place)), _text(each.rule), _text(with_entity(each)), _text(each.waived))
        for each in report.waived
    ]
    notes = [f"- {_text(note)}" for note in report.notes]
    fixes = [f"- {each}" for each in dict.fromkeys(_fix(found) for found in report.findings)]
    room = MOST - sum(len(line.encode()) + 1 for line in notes)
    room = _table(lines, ("problem", "place", "is", "fix"), problems, room)
    room = _table(lines, ("severity", "place", "rule", "is", "should be"), findings, room)
    room = _folded(lines, f"How to fix ({command('--explain RULE')} says more)", fixes, room)
    if waived:
        lines += [f"<details><summary>Waived: {len(waived)}</summary>", ""]
        _table(lines, ("place", "rule", "is", "waiver"), waived, room)
        lines += ["</details>", ""]
    _folded(lines, count(notes, "note"), notes, MOST)
    return "\n".join(lines).rstrip() + "\n"


def _fix(finding: Finding) -> str:
    return f"{_text(finding.rule)}: {_text(finding.fix)}"


def _folded(lines: list[str], summary: str, inner: list[str], room: int) -> int:
    """Add a list that opens on a click, if there is room for it, and return the room that is left."""
    needs = sum(len(line.encode()) + 1 for line in inner)
    if not inner or needs > room:
        return room
    lines += [f"<details><summary>{_text(summary)}</summary>", "", *inner, "", "</details>", ""]
    return room - needs


def _table(lines: list[str], head: tuple[str, ...], rows: list[str], room: int) -> int:
    """Add as many rows as there is room for, say how many are left out, and return the room that is left."""
    if not rows:
        return room
    lines += [_row(*head), "|---" * len(head) + "|"]
    for number, row in enumerate(rows):
        if len(row.encode()) > room:
            lines += ["", f"{len(rows) - number} more are left out here: `{command()}` shows them.", ""]
            return 0
        lines.append(row)
        room -= len(row.encode()) + 1
    lines.append("")
    return room


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _text(text: str) -> str:
    """Return a text that Markdown and GitHub take for nothing but text: no markup, no picture, no mention."""
    plain = SPECIAL.sub(r"\\\1", one_line(text)).replace("&", "&amp;")
    return plain.replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")


def _code(text: str) -> str:
    """Return a text as code; nothing in it ends the code or the cell."""
    return "`" + unspoken(text).replace("`", "'").replace("|", "\\|") + "`"
