"""One run of the gate."""

from __future__ import annotations

import datetime
import logging
import subprocess
import tarfile
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path

from policies.gate import coverage, documents, own_checks, patience, waivers
from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import RULES, Loaded, load
from policies.gate.repeats import without_repeats
from policies.gate.run import Report, run_rules
from policies.gate.tools import TOOLS, Outcome
from policies.gate.tools.base import Settings, Tool
from policies.model import Finding, Place, Problem
from policies.sources.repository import Repository

FAMILIES = ("compose", "dockerfile", "terraform", "actions", "configuration", "repository")
#: Which of checkov's frameworks belongs to which family.
FRAMEWORKS = {"dockerfile": "dockerfile", "actions": "github_actions", "terraform": "terraform"}


@dataclass
class Options:
    """What the command line asks for. Empty `only` means everything."""

    only: tuple[str, ...] = ()
    families: tuple[str, ...] = FAMILIES
    changed_since: str = ""
    require_tools: bool = False
    images: Mapping[str, str] = field(default_factory=dict)
    rules: Path = RULES
    today: datetime.date = field(default_factory=datetime.date.today)
    time_limit: float = patience.STEP

    def wants(self, rule: str) -> bool:
        """Tell whether a rule is asked for."""
        return not self.only or rule in self.only


@dataclass
class Result:
    """The report of a run, and what is known about every id that may stand in it."""

    report: Report
    infos: dict[str, Info]


def _start_tools(
    repository: Repository, options: Options, pool: ThreadPoolExecutor
) -> dict[Tool, Future[Outcome]]:
    settings = Settings(options.images)
    wanted = [tool for tool in TOOLS if tool.judges in options.families and options.wants(tool.rule)]
    return {tool: pool.submit(tool.run, repository, settings) for tool in wanted if tool.needed(repository)}


def _collect_tools(running: dict[Tool, Future[Outcome]], report: Report, required: bool) -> None:
    for tool, future in running.items():
        try:
            outcome = future.result()
        except Exception as error:
            outcome = tool.broken(f"{type(error).__name__}: {error}")
        report.findings += outcome.findings
        report.problems += outcome.problems
        report.notes += outcome.notes
        report.ran += [] if outcome.absent else [tool.rule]
        if outcome.absent and required:
            fix = "install it, or pull or build the image"
            report.problems.append(
                Problem("tool-missing", Place("."), f"{tool.title}: {outcome.absent}", fix)
            )
        elif outcome.absent:
            report.notes.append(f"{tool.title} did not run: {outcome.absent}")


def _attempt(
    repository: Repository, options: Options, report: Report, what: str, step: Callable[[], None]
) -> None:
    """Run a step; one that raises or does not end is a problem: nobody knows what it would have found."""
    try:
        with patience.within(options.time_limit):
            step()
    except patience.TooLong:
        report.problems.append(patience.problem(what, options.time_limit, repository.last))
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = Place(f"policies/gate/{Path(frame.filename).name}", frame.lineno or 1)
        message = f"{what}: {type(error).__name__}: {error}"
        report.problems.append(
            Problem("gate-failed", place, message, "mend the gate: this is its own mistake")
        )


def _own_checks(repository: Repository, options: Options, result: Result) -> None:
    if options.only and not any(rule.startswith("CKV") for rule in options.only):
        return
    frameworks = tuple(FRAMEWORKS[each] for each in FRAMEWORKS if each in options.families)
    said = own_checks.run(repository, frameworks)
    result.report.findings += [each for each in said.findings if options.wants(each.rule)]
    result.report.problems += said.problems
    result.report.notes += said.notes
    result.infos.update(said.infos)


def _schemas(repository: Repository, options: Options, report: Report) -> None:
    report.findings += dict.fromkeys(documents.findings(repository, options.families, options.only))
    report.ran += [info for info in OTHERS if info.startswith("SCHEMA_") and options.wants(info)]


def _coverage(repository: Repository, options: Options) -> None:
    coverage.must_exist(repository, options.families)
    coverage.inline_skips(repository, options.families)
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
    attempt = partial(_attempt, repository, options, report)
    with ThreadPoolExecutor(max_workers=4) as pool:
        running: dict[Tool, Future[Outcome]] = {}
        if tools:
            attempt("checkers", lambda: running.update(_start_tools(repository, options, pool)))
        run_rules(repository, wanted, loaded, report, options.time_limit)
        attempt("schemas", lambda: _schemas(repository, options, report))
        attempt("checkov", lambda: _own_checks(repository, options, result))
        _collect_tools(running, report, options.require_tools)
    report.findings = without_repeats(report.findings)
    attempt("coverage", lambda: _coverage(repository, options))
    report.problems += repository.problems
    return result


def _at(root: Path, reference: str, folder: Path) -> None:
    """Write the repository as it was at a git reference into a folder."""
    done = subprocess.run(
        ["git", "-C", str(root), "archive", "--end-of-options", reference], capture_output=True, check=False
    )
    if done.returncode:
        raise ValueError(f"--changed-since {reference}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _key(finding: Finding) -> tuple[str, str, str, str]:
    """Return what makes a finding the same one although lines moved."""
    return finding.rule, finding.place.file, finding.entity, finding.what


def _already_there(root: Path, options: Options, loaded: Loaded) -> Counter[tuple[str, str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        _at(root, options.changed_since, Path(folder))
        return Counter(map(_key, judge(Path(folder), options, loaded).report.findings))


def _only_new(report: Report, old: Counter[tuple[str, str, str, str]], reference: str) -> None:
    """Leave out as many findings of a kind as there were at the reference; one more of them is new."""
    new = []
    for each in report.findings:
        if old[_key(each)]:
            old[_key(each)] -= 1
        else:
            new.append(each)
    if left := len(report.findings) - len(new):
        report.notes.append(f"{left} findings were there at {reference} already and are left out")
    report.findings = new


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
    exceptions, problems = waivers.read(Repository(root))
    report.problems += problems
    everything = not options.only
    ran = {*report.ran, *(each.rule for each in exceptions if everything and each.rule.startswith("CKV"))}
    checkov = {each.rule for each in exceptions if each.rule.startswith("CKV")}
    waivers.apply(report, exceptions, known | checkov, ran, options.today)
    report.sort()
    if options.changed_since:
        _only_new(report, _already_there(root, options, loaded), options.changed_since)
    return result
