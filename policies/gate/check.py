"""One run of the gate."""

from __future__ import annotations

import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from policies.gate import catalogue, changes, coverage, documents, own_checks, waivers
from policies.gate.info import OTHERS, of_rule
from policies.gate.loading import Loaded, load
from policies.gate.run import FAMILIES, Options, Report, Result, run_rules
from policies.gate.tools import TOOLS, Outcome
from policies.gate.tools.base import Settings, Tool
from policies.model import Finding, Place, Problem
from policies.readers import Repository

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
    settings = Settings(options.images)
    wanted = [tool for tool in TOOLS if tool.judges in options.families and options.wants(tool.rule)]
    return {tool: pool.submit(tool.run, repository, settings) for tool in wanted if tool.needed(repository)}


def _collect_tools(running: Running, result: Result, root: Path, required: bool) -> None:
    report = result.report
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
        result.images += [outcome.image] if outcome.image else []
        (report.absent if outcome.absent else report.ran).append(tool.rule)
        report.partly += [tool.rule] if outcome.partly else []
        if outcome.absent and required:
            what, fix = f"{tool.title}: {outcome.absent}", "install it, or pull or build the image"
            report.problems.append(Problem("tool-missing", Place("."), what, fix))
        elif outcome.absent:
            report.notes.append(f"{tool.title} did not run: {outcome.absent}")


def _attempt(report: Report, what: str, step: Callable[[], None]) -> None:
    """Run a step; one that raises is a problem: nobody knows what it would have found."""
    try:
        step()
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = Place(f"policies/gate/{Path(frame.filename).name}", frame.lineno or 1)
        message = f"{what}: {type(error).__name__}: {error}"
        fix = "fix the gate: this is its own mistake"
        report.problems.append(Problem("gate-failed", place, message, fix))


def _frameworks(options: Options) -> tuple[str, ...]:
    """Return checkov's frameworks that are asked for."""
    if options.only and not any(rule.startswith("CKV") for rule in options.only):
        return ()
    return tuple(name for name, kind in own_checks.FRAMEWORKS.items() if kind in options.families)


def _own_checks(repository: Repository, options: Options, result: Result) -> None:
    if not (frameworks := _frameworks(options)):
        return
    said = own_checks.run(repository, frameworks)
    result.report.findings += [each for each in said.findings if options.wants(each.rule)]
    result.report.problems += said.problems
    result.report.notes += said.notes
    result.infos.update(said.infos)
    result.frameworks += said.frameworks


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
    kinds = {
        kind
        for kind, patterns in DEPEND.items()
        if any(fnmatch(file, each) for file in unreadable for each in patterns)
    }
    return [
        each
        for each in report.findings
        if each.place.file not in unreadable
        and (OTHERS[each.rule].judges if each.rule in OTHERS else each.rule[:8]) not in kinds
        and not (each.rule == "SCHEMA_ENVIRONMENT" and each.entity in named)
    ]


def judge(root: Path, options: Options, loaded: Loaded, tools: bool = True) -> Result:
    """Judge one folder: everything but waivers and what changed; without `tools` in this process alone."""
    repository = Repository(root)
    report = Report(problems=list(loaded.problems))
    result = Result(report, {rule.rule_id: of_rule(rule) for rule in loaded.rules.values()} | OTHERS)
    wanted = [
        rule
        for rule in loaded.rules.values()
        if rule.family in options.families and options.wants(rule.rule_id)
    ]
    attempt = partial(_attempt, report)
    with ThreadPoolExecutor(max_workers=4) as pool:
        running: Running = {}
        # checkov takes as long as everything else: a process of its own finds out what is not known yet.
        ahead = own_checks.ahead(repository, _frameworks(options)) if tools else None
        if tools:
            attempt("checkers", lambda: running.update(_start_tools(repository, options, pool)))
        run_rules(repository, wanted, loaded, report)
        attempt("schemas", lambda: _schemas(repository, options, report))
        if ahead:
            ahead.wait()
        attempt("checkov", lambda: _own_checks(repository, options, result))
        _collect_tools(running, result, repository.root, options.require_tools)
    report.findings = _without_what_follows(repository, report)
    attempt("coverage", lambda: coverage.look(repository, options.families))
    report.problems += repository.problems
    return result


def _already_there(root: Path, options: Options, loaded: Loaded) -> Counter[changes.Key]:
    with tempfile.TemporaryDirectory() as folder:
        changes.at(root, options.changed_since, Path(folder))
        return Counter(map(changes.key, judge(Path(folder), options, loaded).report.findings))


def _checkovs(result: Result, options: Options, waived: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the ids of checkov's own checks, and those of them that this run looked for; it asks checkov
    only if somebody named one.
    """
    if not any(name.startswith("CKV") for name in (*options.only, *waived)):
        return set(), set()
    known = catalogue.checkovs()
    kinds = [own_checks.FRAMEWORKS[name] for name in result.frameworks]
    ran = {name for name, info in known.items() if info.judges in kinds and options.wants(name)}
    result.infos |= {name: known[name] for name in ran if name not in result.infos}
    result.report.ran += [
        name for name in options.only if name in ran and not own_checks.skipped_because(name)
    ]
    return set(known), ran


def check(root: Path, options: Options) -> Result:
    """Run the whole gate. Raises ValueError for an id or a git reference that does not exist."""
    logging.getLogger().setLevel(logging.ERROR)
    loaded = load(options.rules)
    known = set(loaded.rules) | set(OTHERS)
    unknown = [rule for rule in options.only if rule not in known and not rule.startswith("CKV")]
    if unknown:
        raise ValueError(f"--only: there is no rule {', '.join(unknown)}; --list names them")
    result = judge(root, options, loaded)
    report = result.report
    exceptions, problems = waivers.read(Repository(root), options.today)
    report.problems += problems
    checkovs, ran = _checkovs(result, options, (each.rule for each in exceptions))
    waivers.apply(report, exceptions, known | checkovs, {*report.ran, *ran}, options.today)
    if not (report.ran or report.partly or report.problems):
        fix = "get what is missing, or name other rules; silence of a rule that did not run is no pass"
        what = "not one rule or checker ran: nothing is known"
        report.problems.append(Problem("nothing-ran", Place("."), what, fix))
    report.sort()
    if options.changed_since:
        changes.only_new(report, _already_there(root, options, loaded), options.changed_since)
    return result
