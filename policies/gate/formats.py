"""The one report, written in five ways."""

from __future__ import annotations

import json

from policies.gate.junit import junit
from policies.gate.markdown import markdown
from policies.gate.messages import quiet
from policies.gate.run import Result
from policies.gate.sarif import sarif
from policies.gate.text import plain
from policies.model import Finding, Problem

__all__ = ["as_json", "junit", "markdown", "plain", "sarif"]


def as_json(result: Result) -> str:
    """Return the report as JSON."""
    report = result.report

    def finding(each: Finding) -> dict[str, object]:
        found = {
            "rule": each.rule, "severity": each.severity.word,
            "file": each.place.file, "line": each.place.line,
            "entity": each.entity, "is": each.what, "should_be": each.should, "fix": each.fix,
        }  # fmt: skip
        return found | ({"waiver": each.waived} if each.waived else {})

    def problem(each: Problem) -> dict[str, object]:
        place = {"file": each.place.file, "line": each.place.line}
        return {"kind": each.kind, **place, "is": each.what, "fix": each.fix}

    body = {
        "exit_code": report.exit_code,
        "findings": [finding(each) for each in report.findings],
        "problems": [problem(each) for each in report.problems],
        "waived": [finding(each) for each in report.waived],
        "notes": report.notes,
        "ran": sorted(report.ran),
        "absent": sorted(report.absent),
    }
    return quiet(json.dumps(body, indent=2, ensure_ascii=False))
