"""One run of the gate."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from policies.gate import catalogue, changes, coverage, documents, own_checks, waivers
from policies.gate.info import OTHERS, of_rule
from policies.gate.loading import load
from policies.gate.run import FAMILIES, Options, Report, Result, run_rules
from policies.gate.tools import TOOLS, Outcome
from policies.gate.tools.base import Tool
from policies.model import Finding, Place, Problem
from policies.readers import Repository
from policies.shared.rule import Rule

__all__ = ["FAMILIES", "Options", "Result", "check", "judge"]
#: Rules that judge a whole of several files: when one cannot be read, nothing is said of the others.
DEPEND = {
    "MAIL_CMP": ("*compose*.y*ml", ".env.example"),
    "compose": ("*compose*.y*ml",),
    "MAIL_CFG": ("*compose*.y*ml", "config/*"),
    "MAIL_TF_": ("*.tf",),
    "terraform": ("*.tf",),
}
Running = dict[Tool, "Future[Outcome]"]


def _start_tools(repository: Repository, options: Options, pool: ThreadPoolExecutor) -> Running:
    wanted = [tool for tool in TOOLS if tool.judges in options.families and options.wants(tool.rule)]
    return {
        tool: pool.submit(tool.run, repository, options.images) for tool in wanted if tool.needed(repository)
    }


def _collect_tools(running: Running, report: Report, root: Path, required: bool) -> None:
    for tool, future in running.items():
        try:
            outcome = future.result()
        except Exception as error:
            outcome = tool.broken(f"{type(error).__name__}: {error}")
        # A path of this machine tells nobody anything, and would make the same finding another one elsewhere.
        report.findings += [
            replace(each, what=each.what.replace(f"{root}/", "")) for each in outcome.findings
        ]
        report.problems += outcome.problems
        report.notes += outcome.notes
        (report.absent if outcome.absent else report.ran).append(tool.rule)
        report.partly += [tool.rule] if outcome.partly else []
        if outcome.absent and required:
            what, fix = f"{tool.title}: {outcome.absent}", "install it, or pull or build the image"
            report.problems.append(Problem("tool-missing", Place("."), what, fix))
        elif outcome.absent:
            report.notes.append(f"{tool.title} did not run: {outcome.absent}")


def _frameworks(options: Options) -> tuple[str, ...]:
    """Return checkov's frameworks that are asked for."""
    if options.only and not any(rule.startswith("CKV") for rule in options.only):
        return ()
    return tuple(name for name, kind in own_checks.FRAMEWORKS.items() if kind in options.families)


def _schemas(repository: Repository, options: Options, report: Report) -> None:
    families = ("", *options.families)
    wanted = [
        name
        for name, info in OTHERS.items()
        if info.family == "schema" and info.judges in families and options.wants(name)
    ]
    report.findings += dict.fromkeys(documents.findings(repository, wanted))
    report.ran += wanted


def _without_what_follows(repository: Repository, report: Report) -> list[Finding]:
    """Return the findings without those in files that cannot be read, and without what a schema says of a
    variable that a rule of ours names as well.
    """
    unreadable = {each.place.file for each in repository.problems if each.kind == "unreadable"}
    named = {each.entity for each in report.findings if each.rule in ("MAIL_REP_004", "MAIL_REP_005")}

    def follows(each: Finding) -> bool:
        kind = OTHERS[each.rule].judges if each.rule in OTHERS else each.rule[:8]
        depends = any(fnmatch(file, pattern) for file in unreadable for pattern in DEPEND.get(kind, ()))
        of_variable = each.rule == "SCHEMA_ENVIRONMENT" and each.entity in named
        return depends or of_variable or each.place.file in unreadable

    return [each for each in report.findings if not follows(each)]


def judge(root: Path, options: Options, rules: Mapping[str, Rule], tools: bool = True) -> Result:
    """Judge one folder: everything but waivers and what changed; without `tools` in this process alone."""
    repository, report, frameworks = Repository(root), Report(), _frameworks(options)
    wanted = [
        rule for rule in rules.values() if rule.family in options.families and options.wants(rule.rule_id)
    ]
    with ProcessPoolExecutor(max_workers=1) as process, ThreadPoolExecutor(max_workers=4) as pool:
        # checkov takes as long as everything else, so it has a process of its own.
        ahead = process.submit(own_checks.run, repository, frameworks) if tools and frameworks else None
        running = _start_tools(repository, options, pool) if tools else {}
        run_rules(repository, wanted, report)
        _schemas(repository, options, report)
        said = ahead.result() if ahead else own_checks.run(repository, frameworks)
        report.findings += [each for each in said.findings if options.wants(each.rule)]
        report.problems += said.problems
        if left_out := sum(len(own_checks.SKIPPED[each]) for each in frameworks):
            reasons = "platform/policies/gate/checkov.yml says why"
            report.notes.append(f"{left_out} of checkov's own checks are left out: {reasons}")
        _collect_tools(running, report, repository.root, options.require_tools)
    report.findings = _without_what_follows(repository, report)
    coverage.look(repository, options.families)
    report.problems += repository.problems
    return Result(report, {name: of_rule(rule) for name, rule in rules.items()} | OTHERS)


def _already_there(root: Path, options: Options, rules: Mapping[str, Rule]) -> Counter[changes.Key]:
    with tempfile.TemporaryDirectory() as folder:
        changes.at(root, options.changed_since, Path(folder))
        return Counter(map(changes.key, judge(Path(folder), options, rules).report.findings))


def _waive(result: Result, repository: Repository, options: Options) -> None:
    """Move waived findings aside. checkov is asked about its checks only if one is named or speaks."""
    report = result.report
    exceptions, problems = waivers.read(repository, options.today)
    report.problems += problems
    ran = set(report.ran)
    named = (*options.only, *(each.rule for each in (*exceptions, *report.findings)))
    if any(name.startswith("CKV") for name in named):
        checkovs = catalogue.checkovs()
        result.infos |= checkovs
        ran |= {
            name for name, info in checkovs.items() if info.judges in options.families and options.wants(name)
        }
        report.ran += [name for name in options.only if name in ran and not own_checks.skipped_because(name)]
    waivers.apply(report, exceptions, result.infos, ran, options.today)


def check(root: Path, options: Options) -> Result:
    """Run the whole gate. Raises ValueError for a git reference that does not exist."""
    logging.getLogger().setLevel(logging.ERROR)
    rules = load()
    result = judge(root, options, rules)
    report = result.report
    _waive(result, Repository(root), options)
    if not (report.ran or report.partly or report.problems):
        fix = "get what is missing, or name other rules; silence of a rule that did not run is no pass"
        what = "not one rule or checker ran: nothing is known"
        report.problems.append(Problem("nothing-ran", Place("."), what, fix))
    report.sort()
    if options.changed_since:
        changes.only_new(report, _already_there(root, options, rules), options.changed_since)
    return result
