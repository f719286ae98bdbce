"""The job that runs this gate on pull requests, and all that would make it harmless to fail."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies.model import Place
from policies.sources.located import Map, dig, mapping, sequence, where
from policies.sources.pipelines import pipelines
from policies.sources.workflow import Job, Workflow

#: The gate's command: a make target of this repository, or the program itself.
GATE = re.compile(
    r"^(?:\S*/)?(?:make\s(?:.*\s)?check(?:-report)?(?=\s|$)|\S*python[\d.]*\s+-m\s+policies\s+check\b)"
)
#: Options that leave out rules, files or findings, and variables that put another program in its place.
LESS = re.compile(
    r"(?:^|[\s\"'=])(?:--(?:only|families|changed-since|explain|list|help)\b|-h\b|-\w*[inqtCf]\w*(?=[\s=]|$)|"
    r"--(?:ignore-errors|dry-run|just-print|recon|question|touch|directory|file|makefile)\b|"
    r"(?:GATE|MAKEFLAGS|SHELL|PYTHON)=)"
)
OTHER_PROGRAM = ("PATH", "GATE", "MAKEFLAGS", "GNUMAKEFLAGS", "MAKEFILES", "PYTHONPATH", "SHELL", "BASH_ENV")
#: Conditions that let a job or step run whatever happened before it.
ALWAYS = re.compile(r"^(?:\$\{\{)?\s*(?:always\(\)|!\s*cancelled\(\)|success\(\)|true)\s*(?:\}\})?$")
STOPS = re.compile(r"^(?:(?:ba)?sh|bash\s.*-\w*e\w*\b.*)$")
PULL_REQUEST = {"pull_request", "pull_request_target"}
TYPES = {"opened", "synchronize", "reopened"}
BRANCHES = {"main", "master", "*", "**"}


@dataclass(frozen=True)
class Weakness:
    """One reason why a pull request gets past a gate that fails."""

    place: Place
    what: str
    should: str


def gate_steps(workflow: Workflow) -> Iterator[tuple[Job, int, Map]]:
    """Yield every step that runs the gate, with its number in its job."""
    for job in workflow.jobs() if not workflow.is_action else ():
        for number, step in enumerate(job.steps()):
            run = step.get("run")
            if isinstance(run, str) and any(
                GATE.match(part) for each in pipelines(run) for part in each.stages
            ):
                yield job, number, step


def on_pull_requests(workflow: Workflow) -> bool:
    """Tell whether a pull request starts a workflow; MAIL_GHA_003 judges in which way."""
    return bool(PULL_REQUEST & workflow.started_by())


def weaknesses(workflow: Workflow, job: Job, number: int, step: Map) -> Iterator[Weakness]:
    """Yield everything that takes the gate's result back."""
    yield from _trigger(workflow)
    yield from _conditions(job.data, job.place)
    yield from _conditions(step, where(step, "run"))
    if job.get("needs") and not ALWAYS.match(str(job.get("if", "")).strip()):
        yield Weakness(job.where("needs"), "the gate is skipped if another job fails", "no needs")
    yield from _script(workflow, job, step)
    yield from _environment(workflow, job, step)
    yield from _checkout(job, number, step)


def _trigger(workflow: Workflow) -> Iterator[Weakness]:
    settings = next(
        (value for name, value in workflow.triggers.items() if str(name).strip().lower() in PULL_REQUEST),
        None,
    )
    for name in ("paths", "paths-ignore", "branches-ignore"):
        if name in mapping(settings):
            yield Weakness(where(settings, name), f"{name} leaves pull requests out", f"no {name}")
    branches = sequence(dig(settings, "branches"))
    if branches and (
        not BRANCHES & {str(each) for each in branches} or any(str(each)[:1] == "!" for each in branches)
    ):
        yield Weakness(
            where(settings, "branches"), "branches leaves pull requests out", "no branches, or main"
        )
    types = {str(each) for each in sequence(dig(settings, "types"))}
    if types and not types >= TYPES:
        yield Weakness(where(settings, "types"), "types leaves pull requests out", ", ".join(sorted(TYPES)))


def _conditions(data: Map, place: Place) -> Iterator[Weakness]:
    soft = data.get("continue-on-error")
    if soft is not None and str(soft).strip().lower() != "false":
        yield Weakness(
            where(data, "continue-on-error"), "its failure counts for nothing", "no continue-on-error"
        )
    if "if" in data and not ALWAYS.match(str(data["if"]).strip()):
        yield Weakness(where(data, "if"), "the gate runs under a condition only", "no if")


def _script(workflow: Workflow, job: Job, step: Map) -> Iterator[Weakness]:
    run, place = str(step["run"]), where(step, "run")
    shells = (
        step.get("shell"),
        job.get("defaults", "run", "shell"),
        dig(workflow.data, "defaults", "run", "shell"),
    )
    shell = next((str(each).strip() for each in shells if each), "bash")
    last = [*pipelines(run)]
    if re.search(
        r"\bset\s+(?:\S+\s+)*\+\w*e|\btrap\b|\bexit\s+0\b|\bmake\s*\(\)|\balias\b", run
    ) or not STOPS.match(shell):
        yield Weakness(place, "the script goes on when the gate fails", "the gate alone, in the usual shell")
    for each in last:
        if any(GATE.match(part) for part in each.stages):
            if (
                each.ends_with
                or len(each.stages) > 1
                or re.search(
                    rf"(?:^|[;&|\n(])\s*(?:if|while|until|!)\s[^\n]*{re.escape(each.stages[0])}|\$\([^)]*{re.escape(each.stages[0])}",
                    run,
                )
            ):
                yield Weakness(place, "another command decides how the step ends", "the gate alone")
            if LESS.search(each.text):
                yield Weakness(place, "the gate is told to look at less", "make check-report")
    directories = (step, job.get("defaults", "run"), dig(workflow.data, "defaults", "run"))
    folder = next(
        (each["working-directory"] for each in directories if mapping(each).get("working-directory")), "."
    )
    if str(folder).strip() not in (".", "./", "${{ github.workspace }}"):
        yield Weakness(place, f"it runs in {folder}", "the root of the repository")


def _environment(workflow: Workflow, job: Job, step: Map) -> Iterator[Weakness]:
    for data in (workflow.data, job.data, step):
        for name, value in mapping(data.get("env")).items():
            if name in OTHER_PROGRAM or (
                name == "CHECK" and (LESS.search(f" {value}") or "${{" in str(value))
            ):
                yield Weakness(where(data, "env", name), f"{name} makes another gate of it", f"no {name}")


def _checkout(job: Job, number: int, step: Map) -> Iterator[Weakness]:
    before: list[Any] = [each for each in job.steps()][:number]
    found = [each for each in before if str(each.get("uses")).lower().startswith("actions/checkout@")]
    if not found:
        yield Weakness(
            where(step, "run"), "nothing was checked out before it", "actions/checkout as a step before"
        )
    for each in found:
        for name in ("ref", "repository", "path", "sparse-checkout"):
            if dig(each, "with", name):
                yield Weakness(where(each, "with", name), f"{name}: it judges something else", f"no {name}")
        if "if" in each or "continue-on-error" in each:
            yield Weakness(
                where(each, "uses"), "the checkout may be left out", "a checkout without a condition"
            )
