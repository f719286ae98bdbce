"""The report as SARIF 2.1.0, as code scanning takes it."""

from __future__ import annotations

import json
from urllib.parse import quote

from policies.gate.info import Info
from policies.gate.messages import WHOLE, one_line, quiet, with_entity
from policies.gate.run import Result
from policies.model import Finding, Problem, Severity

LEVELS = dict(zip(Severity, ("note", "warning", "error", "error"), strict=True))
#: GitHub sorts alerts by this number.
SCORES = dict(zip(Severity, ("2.0", "5.0", "8.0", "9.5"), strict=True))
#: Code scanning shows an alert in a file only; what is about the whole repository stands here.
STANDS_FOR_ALL = "README.md"
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def _descriptor(info: Info) -> dict[str, object]:
    help_text = markdown = f"{info.why}\n\nFix: {info.fix}"
    for title, example in (("Bad", info.bad), ("Good", info.good)):
        if example:
            markdown += f"\n\n{title}:\n\n```{info.language}\n{example.rstrip()}\n```"
    tags = {
        "tags": ["security", info.family],
        "security-severity": SCORES[info.severity],
        "precision": "high",
    }
    descriptor: dict[str, object] = {
        "id": info.id,
        "name": info.id,
        "shortDescription": {"text": info.name},
        "fullDescription": {"text": info.why},
        "help": {"text": help_text, "markdown": markdown},
        "defaultConfiguration": {"level": LEVELS[info.severity]},
        "properties": tags,
    }
    return descriptor | ({"helpUri": info.link} if info.link.startswith("https://") else {})


def _locations(found: Finding | Problem) -> list[dict[str, object]]:
    """Return where something is; a folder is no file that an alert could stand in."""
    file = found.place.file
    if file == WHOLE:
        if isinstance(found, Problem):
            return []
        file = STANDS_FOR_ALL
    uri = quote(file.encode("utf-8", "surrogateescape"))
    region = {"startLine": max(found.place.line, 1)}
    return [
        {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}}
    ]


def _message(text: str) -> dict[str, str]:
    """Return a message in which nothing is a link but what a reader sees as one."""
    return {"text": one_line(text).replace("](", "] (")}


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
            "message": _message(f"{with_entity(each)}. It should be: {each.should}. Fix: {each.fix}"),
            "locations": _locations(each),
        }
        if each.waived:
            why = {"kind": "external", "status": "accepted", "justification": one_line(each.waived)}
            entry["suppressions"] = [why]
        results.append(entry)
    said = {each: _message(f"{each.kind}: {each.what}. Fix: {each.fix}") for each in report.problems}
    notifications = [
        {"level": "error", "message": text, "locations": _locations(each)} for each, text in said.items()
    ]
    invocation = {"executionSuccessful": not said, "toolExecutionNotifications": notifications}
    rules = [_descriptor(result.infos[each]) for each in ids]
    run = {
        "tool": {"driver": {"name": "mailserver-gate", "rules": rules}},
        "invocations": [invocation],
        "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "The root of the repository."}}},
        "columnKind": "utf16CodeUnits",
        "results": results,
    }
    log = {"$schema": SARIF, "version": "2.1.0", "runs": [run]}
    return quiet(json.dumps(log, indent=2, ensure_ascii=False))
