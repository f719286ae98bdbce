"""The one report, written in five ways."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape

from policies.gate.check import Result
from policies.gate.info import Info
from policies.model import Finding, Problem, Severity

COLOURS = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "red",
    Severity.MEDIUM: "yellow",
    Severity.LOW: "cyan",
}
WORDS = {0: "clean", 1: "findings", 2: "the gate could not do its job"}


def headline(result: Result) -> str:
    """Return the run in one line."""
    report = result.report
    counts = f"{len(report.findings)} findings, {len(report.problems)} problems, {len(report.waived)} waived"
    return f"{len(report.ran)} rules and checkers ran: {counts} → {WORDS[report.exit_code]}"


# ---- for people


def plain(result: Result, console: Console) -> None:
    """Write the report to a terminal or a file."""
    report = result.report
    for finding in report.findings:
        console.print(
            f"[{COLOURS[finding.severity]}]{finding.severity.word}[/] "
            f"{escape(str(finding.place))} [bold]{finding.rule}[/]"
        )
        _rows(console, ("is", _with_entity(finding)), ("should be", finding.should), ("mend", finding.fix))
    for problem in report.problems:
        console.print(f"[bold magenta]{problem.kind}[/] {escape(str(problem.place))}")
        _rows(console, ("is", problem.what), ("mend", problem.fix))
    for finding in report.waived:
        console.print(
            f"[dim]waived {escape(str(finding.place))} {finding.rule}: "
            f"{escape(finding.what)}; {escape(finding.waived)}[/]"
        )
    for note in report.notes:
        console.print(f"[dim]{escape(note)}[/]")
    console.print(("[green]" if not report.exit_code else "[bold]") + escape(headline(result)) + "[/]")


def _rows(console: Console, *rows: tuple[str, str]) -> None:
    for name, text in rows:
        console.print(f"  [dim]{name:>9}[/] {escape(text)}")


def _with_entity(finding: Finding) -> str:
    known = not finding.entity or finding.entity in finding.what
    return finding.what if known else f"{finding.entity}: {finding.what}"


def markdown(result: Result) -> str:
    """Return the summary for a pull request."""
    report = result.report
    mark = {0: "✅", 1: "❌", 2: "⚠️"}[report.exit_code]
    lines = [f"## {mark} Gate", "", headline(result), ""]
    if report.findings:
        lines += ["| severity | place | rule | is | should be |", "|---|---|---|---|---|"]
        lines += [
            _row(each.severity.word, f"`{each.place}`", each.rule, _with_entity(each), each.should)
            for each in report.findings
        ]
        lines += ["", "How to mend them: `python -m policies check --explain RULE`", ""]
    if report.problems:
        lines += ["| problem | place | is | mend |", "|---|---|---|---|"]
        lines += [_row(each.kind, f"`{each.place}`", each.what, each.fix) for each in report.problems] + [""]
    if report.waived:
        lines += [
            "<details><summary>Waived</summary>",
            "",
            "| place | rule | is | waiver |",
            "|---|---|---|---|",
        ]
        lines += [_row(f"`{each.place}`", each.rule, each.what, each.waived) for each in report.waived]
        lines += ["", "</details>", ""]
    lines += [f"- {note}" for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def _row(*cells: str) -> str:
    safe = (
        " ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;").replace("@", "@\u200b")
        for cell in cells
    )
    return "| " + " | ".join(safe) + " |"


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
    artifact = {"uri": finding.place.file.replace(" ", "%20"), "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": finding.place.line}}}


def sarif(result: Result) -> str:
    """Return the report as SARIF 2.1.0; problems are notifications that make the run unsuccessful."""
    report = result.report
    found = report.findings + report.waived
    ids = sorted({each.rule for each in found} | {info for info in result.infos if info in report.ran})
    results = []
    for each in found:
        entry: dict[str, object] = {
            "ruleId": each.rule,
            "ruleIndex": ids.index(each.rule),
            "level": LEVELS[each.severity],
            "message": {"text": f"{_with_entity(each)}. It should be: {each.should}. Mend: {each.fix}"},
            "locations": [_location(each)],
            "partialFingerprints": {"gate/v1": f"{each.rule}:{each.place.file}:{each.entity}:{each.what}"},
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
                f"{each.place}: {_with_entity(each)}; should be: {each.should}; mend: {each.fix}"
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
