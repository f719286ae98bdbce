"""The report for a terminal or a log. What it shows comes from checked files: no value may be a command to
whatever shows it.
"""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.table import Table
from rich.text import Text

from policies.gate.info import COLOURS
from policies.gate.messages import command, headline, shown, together, unspoken, visible, with_entity
from policies.gate.run import Result

#: How many findings are shown unless somebody asks for all.
MOST = 20


def plain(result: Result, console: Console, everything: bool = False) -> None:
    """Write the report to a terminal or a file: what could not be judged comes first, then the worst."""
    report = result.report
    for problem in report.problems:
        _line(console, (problem.kind, "bold magenta"), (shown(problem.place), ""))
        _rows(console, ("is", problem.what), ("fix", problem.fix))
        _allowed(console, problem.row)
    findings = list(together(report.findings))
    for finding in findings if everything else findings[:MOST]:
        words = (
            (finding.severity.word, COLOURS[finding.severity]),
            (shown(finding.place), ""),
            (finding.rule, "bold"),
        )
        _line(console, *words)
        _rows(console, ("is", with_entity(finding)), ("should be", finding.should), ("fix", finding.fix))
        _allowed(console, finding.row)
    if not everything and (left := findings[MOST:]):
        counts = Counter(each.severity for each in left)
        words = ", ".join(f"{counts[each]} {each.word}" for each in sorted(counts, reverse=True))
        _line(console, (f"{len(left)} more: {words}; all of them: {command('--all')}", "bold"))
    for finding in report.waived:
        said = f"waived {shown(finding.place)} {finding.rule}: {with_entity(finding)}; {finding.waived}"
        _line(console, (said, "dim"))
    needed = ["what these need: make check-tools"] if report.absent else []
    for note in (*report.notes, *needed):
        _line(console, (note, "dim"))
    _line(console, (headline(result), "bold" if report.exit_code else "green"))
    for worst in report.findings[:1]:
        _line(console, (f"why, and how to fix it: {command(f'--explain {worst.rule}')}", ""))


def _allowed(console: Console, row: str) -> None:
    if row:
        _rows(console, ("or allow", "by this row, if you decide so"))
    for line in row.splitlines():  # nothing stands before them: they can be pasted
        console.print(Text(visible(line)))


def _line(console: Console, *words: tuple[str, str]) -> None:
    """Write words with the style of each; a text, not markup: no value has a style of its own."""
    parts = [(unspoken(word), style) for word, style in words]
    console.print(Text(" ").join(Text(word, style) for word, style in parts))


def _rows(console: Console, *rows: tuple[str, str]) -> None:
    """Write what there is to say; on a terminal long texts are wrapped below themselves."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=11, style="dim")
    grid.add_column(overflow="fold")
    for name, said in rows:
        if console.is_terminal:
            grid.add_row(name, Text(unspoken(said)))
        else:
            console.print(Text(f"  {name:>9} {unspoken(said)}"))
    if console.is_terminal:
        console.print(grid, soft_wrap=False)
