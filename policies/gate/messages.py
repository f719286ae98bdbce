"""What every report for people says in the same words, and how it shows what checked files hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace

from policies.gate.run import Result
from policies.model import Finding, Place

WORDS = {0: "clean", 1: "findings", 2: "the gate could not do its job"}
#: The place of what is about the whole repository.
WHOLE = "."
#: What a workflow's log takes for a command: ::name …:: at the start of a line, and the old forms anywhere.
COMMAND = re.compile(r"::(?=[A-Za-z][\w-]*(?:\s.*?)?::)|##(?=\[|vso\[)")


def headline(result: Result) -> str:
    """Return the run in one line."""
    report = result.report
    ran = count(report.ran, "rule or checker", "rules and checkers")
    found, problems = count(report.findings, "finding"), count(report.problems, "problem")
    return f"{ran} ran: {found}, {problems}, {len(report.waived)} waived → {WORDS[report.exit_code]}"


def count(things: Sized, one: str, more: str = "") -> str:
    """Return how many things there are, with their name."""
    return f"{len(things)} {one if len(things) == 1 else more or one + 's'}"


def command(arguments: str = "") -> str:
    """Return what to type to run the gate with some arguments."""
    return f'make check CHECK="{arguments}"' if arguments else "make check"


def with_entity(finding: Finding) -> str:
    """Return what is there, and of which thing."""
    known = not finding.entity or finding.entity in finding.what
    return finding.what if known else f"{finding.entity}: {finding.what}"


def together(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings for people: one where only the entity differs, or only the path to one line."""
    found: dict[Finding, list[Finding]] = {}
    for each in findings:
        differs = "what" if each.rule.startswith("SCHEMA_") else "entity"
        found.setdefault(replace(each, **{differs: ""}), []).append(each)
    for alike, (first, *more) in found.items():
        if alike.what:
            yield replace(first, entity=", ".join(each.entity for each in (first, *more) if each.entity))
        else:
            yield replace(first, what=f"{first.what}, and {len(more)} more by this line") if more else first


def shown(place: Place) -> str:
    """Return a place as people read it: the whole repository has no line."""
    return visible(place.file if place.file == WHOLE else str(place))


def visible(text: str) -> str:
    """Return a text in which signs that nobody sees are written out."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def one_line(text: str) -> str:
    """Return a text as one line without a sign that nobody sees."""
    return visible(" ".join(line.strip() for line in text.splitlines()).replace("\t", " "))


def unspoken(text: str) -> str:
    """Return a text as one line that neither a terminal nor a workflow's log takes for a command."""
    return COMMAND.sub(lambda matched: " ".join(matched[0]), one_line(text))


def quiet(text: str) -> str:
    """Return JSON in which invisible signs and what begins a command to a log are written as numbers."""
    signs = (sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)
    return "".join(signs).replace("##", "\\u0023#")
