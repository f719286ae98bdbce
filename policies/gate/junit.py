"""The report as JUnit XML: one test case for each rule, and one for the gate itself."""

from __future__ import annotations

from xml.etree import ElementTree

from policies.gate.messages import count, shown, unspoken, with_entity
from policies.gate.run import Result
from policies.model import Finding


def junit(result: Result) -> str:
    """Return the report as JUnit XML: a rule with findings failed, a checker that was not at hand was
    skipped, and whatever kept the gate from its job is one error.
    """
    report = result.report
    by_rule: dict[str, list[Finding]] = {rule: [] for rule in (*report.ran, *report.absent)}
    for finding in report.findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    suite = ElementTree.Element("testsuite", {"name": "gate"})
    for rule, found in sorted(by_rule.items()):
        family = result.infos[rule].family if rule in result.infos else "checkov"
        case = ElementTree.SubElement(suite, "testcase", {"classname": f"gate.{family}", "name": rule})
        lines = [
            f"{shown(each.place)}: {with_entity(each)}; should be: {each.should}; fix: {each.fix}"
            for each in found
        ]
        if found:
            _child(case, "failure", count(found, "finding"), lines)
        elif rule in report.absent:
            _child(case, "skipped", "it was not at hand", [])
    case = ElementTree.SubElement(suite, "testcase", {"classname": "gate", "name": "the gate did its job"})
    if report.problems:
        lines = [f"{each.kind} {shown(each.place)}: {each.what}; fix: {each.fix}" for each in report.problems]
        _child(case, "error", count(report.problems, "problem"), lines)
    tags = {"tests": "testcase", "failures": "failure", "errors": "error", "skipped": "skipped"}
    for name, tag in tags.items():
        suite.set(name, str(len(list(suite.iter(tag)))))
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def _child(case: ElementTree.Element, tag: str, message: str, lines: list[str]) -> None:
    child = ElementTree.SubElement(case, tag, {"message": message})
    child.text = "\n".join(map(unspoken, lines)) or None
