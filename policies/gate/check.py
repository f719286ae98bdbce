"""One run of the gate."""

from __future__ import annotations

import datetime
import logging
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from policies.gate import coverage, own_checks, schemas, waivers
from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import RULES, Loaded, load
from policies.gate.run import Report, run_rules
from policies.gate.tools import TOOLS, Outcome
from policies.gate.tools.base import Settings, Tool
from policies.model import Finding, Place, Problem
from policies.sources.interpolation import env_file
from policies.sources.located import Map
from policies.sources.repository import Repository

FAMILIES = ("compose", "dockerfile", "terraform", "actions", "configuration", "repository")
#: Which of checkov's frameworks belongs to which family.
FRAMEWORKS = {"dockerfile": "dockerfile", "actions": "github_actions", "terraform": "terraform"}
EXAMPLE = ".env.example"


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

    def wants(self, rule: str) -> bool:
        """Tell whether a rule is asked for."""
        return not self.only or rule in self.only


@dataclass
class Result:
    """The report of a run, and what is known about every id that may stand in it."""

    report: Report
    infos: dict[str, Info]


def _schema_findings(repository: Repository, options: Options) -> list[Finding]:
    found: list[Finding] = []

    def judge(name: str, document: object, fallback: Place) -> None:
        info = OTHERS[f"SCHEMA_{name.upper()}"]
        for place, what, should in schemas.errors(name, document, fallback):
            found.append(Finding(info.id, info.severity, place, what, should, info.fix))

    if options.wants("SCHEMA_COMPOSE") and "compose" in options.families:
        for project in repository.compose:
            judge("compose", project.data, Place(project.files[0]))
    complete = "configuration" in options.families
    if options.wants("SCHEMA_ENVIRONMENT") and complete and EXAMPLE in repository.files:
        values = Map(Place(EXAMPLE))
        for name, (value, line) in env_file(repository.text(EXAMPLE)).items():
            values.put(name, value, Place(EXAMPLE, line))
        judge("environment", values, Place(EXAMPLE))
    if options.wants("SCHEMA_ANSWERS") and complete and ".cruft.json" in repository.files:
        for document in repository.yaml(".cruft.json"):
            stored = document.get("context", {}).get("cookiecutter", {}) if isinstance(document, Map) else {}
            answers = Map(Place(".cruft.json"))
            for name, value in stored.items():
                if not name.startswith("_"):
                    number = isinstance(value, str) and value.isdigit()
                    answers.put(name, int(value) if number else value, stored.places[name])
            judge("answers", answers, Place(".cruft.json"))
    return list(dict.fromkeys(found))


def _start_tools(
    repository: Repository, options: Options, pool: ThreadPoolExecutor
) -> dict[Tool, Future[Outcome]]:
    settings = Settings(options.images)
    wanted = [tool for tool in TOOLS if options.wants(tool.rule)]
    return {tool: pool.submit(tool.run, repository, settings) for tool in wanted if tool.needed(repository)}


def _collect_tools(running: dict[Tool, Future[Outcome]], report: Report, required: bool) -> None:
    for tool, future in running.items():
        try:
            outcome = future.result()
        except (OSError, subprocess.SubprocessError, KeyError, TypeError) as error:
            outcome = tool.broken(f"{type(error).__name__}: {error}")
        report.findings += outcome.findings
        report.problems += outcome.problems
        report.ran.append(tool.rule)
        if outcome.absent and required:
            fix = "install it, or pull or build the image"
            report.problems.append(
                Problem("tool-missing", Place("."), f"{tool.title}: {outcome.absent}", fix)
            )
        elif outcome.absent:
            report.notes.append(f"{tool.title} did not run: {outcome.absent}")


def judge(root: Path, options: Options, loaded: Loaded, tools: bool = True) -> Result:
    """Judge one folder: everything but waivers and what changed."""
    repository = Repository(root)
    report = Report(problems=list(loaded.problems))
    infos = {rule.rule_id: of_rule(rule) for rule in loaded.rules.values()} | OTHERS
    wanted = [
        rule
        for rule in loaded.rules.values()
        if rule.family in options.families and options.wants(rule.rule_id)
    ]
    with ThreadPoolExecutor(max_workers=4) as pool:
        running = _start_tools(repository, options, pool) if tools else {}
        run_rules(repository, wanted, loaded, report)
        report.findings += _schema_findings(repository, options)
        frameworks = tuple(FRAMEWORKS[each] for each in FRAMEWORKS if each in options.families)
        if not options.only or any(rule.startswith("CKV") for rule in options.only):
            findings, problems, more = own_checks.run(repository, frameworks)
            report.findings += [each for each in findings if options.wants(each.rule)]
            report.problems += problems
            infos |= more
        _collect_tools(running, report, options.require_tools)
    report.ran += [info for info in OTHERS if info.startswith("SCHEMA_") and options.wants(info)]
    coverage.must_exist(repository, options.families)
    coverage.inline_skips(repository)
    coverage.links(repository)
    if "configuration" in options.families:
        coverage.everything_parses(repository)
        coverage.unread(repository)
    report.problems += repository.problems
    return Result(report, infos)


def _at(root: Path, reference: str, folder: Path) -> None:
    """Write the repository as it was at a git reference into a folder."""
    done = subprocess.run(["git", "-C", str(root), "archive", reference], capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"--changed-since {reference}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _already_there(root: Path, options: Options, loaded: Loaded) -> set[tuple[str, str, str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        _at(root, options.changed_since, Path(folder))
        old = judge(Path(folder), options, loaded, tools=False).report.findings
    return {(each.rule, each.place.file, each.entity, each.what) for each in old}


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
    if options.changed_since:
        old = _already_there(root, options, loaded)
        new = [
            each
            for each in report.findings
            if (each.rule, each.place.file, each.entity, each.what) not in old
        ]
        if left := len(report.findings) - len(new):
            report.notes.append(
                f"{left} findings were there at {options.changed_since} already and are left out"
            )
        report.findings = new
    report.sort()
    return result
