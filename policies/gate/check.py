"""One run of the gate."""

from __future__ import annotations

import datetime
import logging
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from policies.gate import catalogue, changes, coverage, documents, own_checks, waivers
from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import POLICIES, Loaded, load
from policies.gate.run import Report, run_rules
from policies.gate.tools import TOOLS, Outcome
from policies.gate.tools.base import Settings, Tool
from policies.model import Finding, Place, Problem
from policies.readers import Repository

#: Rules that judge a whole of several files: when one cannot be read, nothing is said of the others.
DEPEND = {
    "MAIL_CMP": ("*compose*.y*ml", ".env.example"),
    "compose": ("*compose*.y*ml",),
    "MAIL_CFG": ("*compose*.y*ml", "config/*"),
    "MAIL_TF_": ("*.tf",),
    "terraform": ("*.tf",),
}
FAMILIES = ("compose", "dockerfile", "terraform", "actions", "configuration", "repository")


@dataclass
class Options:
    """What the command line asks for. Empty `only` means everything."""

    only: tuple[str, ...] = ()
    families: tuple[str, ...] = FAMILIES
    changed_since: str = ""
    require_tools: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    rules: Path = POLICIES
    today: datetime.date = field(default_factory=datetime.date.today)

    def wants(self, rule: str) -> bool:
        """Tell whether a rule is asked for."""
        return not self.only or rule in self.only


@dataclass
class Result:
    """The report of a run, what is known about every id that may stand in it, and which of checkov's
    frameworks ran.
    """

    report: Report
    infos: dict[str, Info]
    frameworks: list[str] = field(default_factory=list)


def _start_tools(
    repository: Repository, options: Options, pool: ThreadPoolExecutor
) -> dict[Tool, Future[Outcome]]:
    settings = Settings(options.images)
    wanted = [tool for tool in TOOLS if tool.judges in options.families and options.wants(tool.rule)]
    return {tool: pool.submit(tool.run, repository, settings) for tool in wanted if tool.needed(repository)}


def _collect_tools(running: dict[Tool, Future[Outcome]], report: Report, root: Path, required: bool) -> None:
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
            fix = "install it, or pull or build the image"
            report.problems.append(
                Problem("tool-missing", Place("."), f"{tool.title}: {outcome.absent}", fix)
            )
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
        report.problems.append(
            Problem("gate-failed", place, message, "fix the gate: this is its own mistake")
        )


def _own_checks(repository: Repository, options: Options, result: Result) -> None:
    if options.only and not any(rule.startswith("CKV") for rule in options.only):
        return
    frameworks = tuple(name for name, kind in own_checks.FRAMEWORKS.items() if kind in options.families)
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
    kinds = {kind for kind, patterns in DEPEND.items() for file in unreadable if _fits(file, patterns)}
    return [
        each
        for each in report.findings
        if each.place.file not in unreadable
        and (OTHERS[each.rule].judges if each.rule in OTHERS else each.rule[:8]) not in kinds
        and not (each.rule == "SCHEMA_ENVIRONMENT" and each.entity in named)
    ]


def _fits(file: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(file, pattern) for pattern in patterns)


def _coverage(repository: Repository, options: Options) -> None:
    coverage.must_exist(repository, options.families)
    coverage.links(repository)
    if "configuration" in options.families:
        coverage.everything_parses(repository)
        coverage.unread(repository)


def judge(root: Path, options: Options, loaded: Loaded, tools: bool = True) -> Result:
    """Judge one folder: everything but waivers and what changed."""
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
        running: dict[Tool, Future[Outcome]] = {}
        if tools:
            attempt("checkers", lambda: running.update(_start_tools(repository, options, pool)))
        run_rules(repository, wanted, loaded, report)
        attempt("schemas", lambda: _schemas(repository, options, report))
        attempt("checkov", lambda: _own_checks(repository, options, result))
        _collect_tools(running, report, repository.root, options.require_tools)
    report.findings = _without_what_follows(repository, report)
    attempt("coverage", lambda: _coverage(repository, options))
    report.problems += repository.problems
    return result


def _already_there(root: Path, options: Options, loaded: Loaded) -> Counter[changes.Key]:
    with tempfile.TemporaryDirectory() as folder:
        changes.at(root, options.changed_since, Path(folder))
        return Counter(map(changes.key, judge(Path(folder), options, loaded).report.findings))


def _checkovs(
    result: Result, options: Options, exceptions: list[waivers.Waiver]
) -> tuple[set[str], set[str]]:
    """Return the ids of checkov's own checks, and those of them that this run looked for; it asks checkov
    only if somebody named one.
    """
    if not any(name.startswith("CKV") for name in (*options.only, *(each.rule for each in exceptions))):
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
    checkovs, ran = _checkovs(result, options, exceptions)
    waivers.apply(report, exceptions, known | checkovs, {*report.ran, *ran}, options.today)
    if not (report.ran or report.partly or report.problems):
        fix = "get what is missing, or name other rules; silence of a rule that did not run is no pass"
        what = "not one rule or checker ran: nothing is known"
        report.problems.append(Problem("nothing-ran", Place("."), what, fix))
    report.sort()
    if options.changed_since:
        changes.only_new(report, _already_there(root, options, loaded), options.changed_since)
    return result
