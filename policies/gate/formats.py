"""The one report, written in five ways."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from policies.gate.check import Result
from policies.gate.info import COLOURS, Info
from policies.gate.markdown import markdown
from policies.gate.wording import headline, together, with_entity
from policies.model import Finding, Problem, Severity

__all__ = ["as_json", "junit", "markdown", "plain", "sarif"]


# ---- for people


def plain(result: Result, console: Console) -> None:
    """Write the report to a terminal or a file."""
    report = result.report
    for finding in together(report.findings):
        console.print(
            f"[{COLOURS[finding.severity]}]{finding.severity.word}[/] "
            f"{escape(str(finding.place))} [bold]{finding.rule}[/]"
        )
        _rows(console, ("is", with_entity(finding)), ("should be", finding.should), ("mend", finding.fix))
    for problem in report.problems:
        console.print(f"[bold magenta]{problem.kind}[/] {escape(str(problem.place))}")
        _rows(console, ("is", problem.what), ("mend", problem.fix))
    for finding in report.waived:
        console.print(
            f"[dim]waived {escape(str(finding.place))} {finding.rule}: "
            f"{escape(with_entity(finding))}; {escape(finding.waived)}[/]"
        )
    for note in report.notes:
        console.print(f"[dim]{escape(note)}[/]")
    console.print(("[green]" if not report.exit_code else "[bold]") + escape(headline(result)) + "[/]")


def _rows(console: Console, *rows: tuple[str, str]) -> None:
    """Write what there is to say; on a terminal long texts are wrapped below themselves."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=11, style="dim")
    grid.add_column(overflow="fold")
    for name, text in rows:
        if console.is_terminal:
            grid.add_row(name, escape(text))
        else:
            console.print(f"  {name:>9} {escape(text)}")
    if console.is_terminal:
        console.print(grid, soft_wrap=False)


# ---- for machines


def as_json(result: Result) -> str:
    """Return the report as JSON."""
    report = result.report

    def finding(each: Finding) -> dict[str, object]:
        found = {
            "rule": each.rule, "severity": each.severity.word,
            "file": each.place.file, "line": each.place.line,
            "entity": each.entity, "is": each.what, "should_be": each.should, "mend": each.fix,
        }  # fmt: skip
        return found | ({"waiver": each.waived} if each.waived else {})

    def problem(each: Problem) -> dict[str, object]:
        return {
            "kind": each.kind,
            "file": each.place.file,
            "line": each.place.line,
            "is": each.what,
            "mend": each.fix,
        }

    body = {
        "exit_code": report.exit_code,
        "findings": [finding(each) for each in report.findings],
        "problems": [problem(each) for each in report.problems],
        "waived": [finding(each) for each in report.waived],
        "notes": report.notes,
        "ran": sorted(report.ran),
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


LEVELS = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
}
#: GitHub sorts alerts by this number.
SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.0", Severity.LOW: "2.0"}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def _descriptor(info: Info) -> dict[str, object]:
    help_text = f"{info.why}\n\nMend: {info.fix}"
    more = (
        f"\n\nBad:\n\n```{info.language}\n{info.bad}```\n\nGood:\n\n```{info.language}\n{info.good}```"
        if info.bad
        else ""
    )
    descriptor: dict[str, object] = {
        "id": info.id,
        "name": info.id,
        "shortDescription": {"text": info.name},
        "fullDescription": {"text": info.why},
        "help": {"text": help_text, "markdown": help_text + more},
        "defaultConfiguration": {"level": LEVELS[info.severity]},
        "properties": {
            "tags": ["security", info.family],
            "security-severity": SCORES[info.severity],
            "precision": "high",
        },
    }
    return descriptor | ({"helpUri": info.link} if info.link.startswith("https://") else {})


def _location(finding: Finding | Problem) -> dict[str, object]:
    uri = quote(finding.place.file.encode("utf-8", "surrogateescape"))
    region = {"startLine": max(finding.place.line, 1)}
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}
    }


def _fingerprints(findings: list[Finding]) -> Iterator[str]:
    """Yield what a finding is known by when lines move: equal ones in one file are counted."""
    seen: Counter[str] = Counter()
    for each in findings:
        said = "\0".join((each.rule, each.place.file, each.entity, each.what))
        same = hashlib.sha256(said.encode("utf-8", "backslashreplace")).hexdigest()[:16]
        seen[same] += 1
        yield f"{same}:{seen[same]}"


def sarif(result: Result) -> str:
    """Return the report as SARIF 2.1.0; problems are notifications that make the run unsuccessful."""
    report = result.report
    found = report.findings + report.waived
    ids = sorted({each.rule for each in found} | {info for info in result.infos if info in report.ran})
    results = []
    for each, fingerprint in zip(found, _fingerprints(found), strict=True):
        entry: dict[str, object] = {
            "ruleId": each.rule,
            "ruleIndex": ids.index(each.rule),
            "level": LEVELS[each.severity],
            "message": {"text": f"{with_entity(each)}. It should be: {each.should}. Mend: {each.fix}"},
            "locations": [_location(each)],
            "partialFingerprints": {"primaryLocationLineHash": fingerprint, "gate/v1": fingerprint},
        }
        if each.waived:
            entry["suppressions"] = [{"kind": "external", "status": "accepted", "justification": each.waived}]
        results.append(entry)
    notifications = [
        {
            "level": "error",
            "message": {"text": f"{each.kind}: {each.what}. Mend: {each.fix}"},
            "locations": [_location(each)],
        }
        for each in report.problems
    ]
    run = {
        "tool": {
            "driver": {"name": "mailserver-gate", "rules": [_descriptor(result.infos[each]) for each in ids]}
        },
        "invocations": [
            {"executionSuccessful": not report.problems, "toolExecutionNotifications": notifications}
        ],
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "columnKind": "utf16CodeUnits",
        "results": results,
    }
    return json.dumps({"$schema": SARIF, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def junit(result: Result) -> str:
    """Return the report as JUnit XML: one test case for each rule that ran, and one for the gate itself."""
    report = result.report
    by_rule: dict[str, list[Finding]] = {rule: [] for rule in sorted(set(report.ran))}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    failures = sum(bool(found) for found in by_rule.values())
    counts = {
        "tests": str(len(by_rule) + 1),
        "failures": str(failures),
        "errors": str(int(bool(report.problems))),
    }
    suite = ElementTree.Element("testsuite", {"name": "gate", **counts})
    for rule, found in by_rule.items():
        family = result.infos[rule].family if rule in result.infos else "checkov"
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"gate.{family}", "name": rule})
        if found:
            text = "\n".join(
                f"{each.place}: {with_entity(each)}; should be: {each.should}; mend: {each.fix}"
                for each in found
            )
            failure = ElementTree.SubElement(case, "failure", {"message": f"{len(found)} findings"})
            failure.text = _printable(text)
    case = ElementTree.SubElement(suite, "testcase", {"classname": "gate", "name": "the gate did its job"})
    if report.problems:
        error = ElementTree.SubElement(case, "error", {"message": f"{len(report.problems)} problems"})
        error.text = _printable(
            "\n".join(f"{each.kind} {each.place}: {each.what}; mend: {each.fix}" for each in report.problems)
        )
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")
