"""The job that runs this gate on pull requests: known steps, then the gate alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place
from policies.shared.located import Map, dig, mapping, sequence, where
from policies.shared.tables import table
from policies.workflows.pipelines import pipelines
from policies.workflows.reader import Job, Workflow

#: What looks as if it ran the gate: a make target of this repository, or the program itself.
GATE = re.compile(
    r"^(?:\S*/)?(?:make\s(?:.*\s)?check(?:-report)?(?=\s|$)|\S*python[\d.]*\s.*\bpolicies(?:/__main__\.py)?\s+check\b)"
)
PULL_REQUEST = {"pull_request", "pull_request_target"}
TYPES = {"opened", "synchronize", "reopened"}
BRANCHES = {"main", "master", "*", "**"}


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


def weaknesses(workflow: Workflow, job: Job, number: int, step: Map) -> Iterator[Found]:
    """Yield everything that is not known to leave the gate's result as it is."""
    for found in _weaknesses(workflow, job, number, step):
        yield Found(*found, job.name)


def imitations(workflows: list[Workflow], hard: list[Job]) -> Iterator[Found]:
    """Yield jobs that a protected branch would take for the gate by their name; `hard` are the gate's own."""
    names = {table("gate_job")["workflow"]["name"], *map(_shown, hard)}
    known = {job.place for job in hard}
    for workflow in workflows:
        # Where no job is hard, what softens one is already said.
        said = known or {job.place for job, *_ in gate_steps(workflow)}
        for job in workflow.jobs():
            if _shown(job) in names and job.place not in said:
                what = f"another job is called {_shown(job)}: a protected branch takes it for the gate"
                yield Found(job.where("name"), what, "a name of its own", job.name)


def _shown(job: Job) -> str:
    return str(job.get("name") or job.name).strip()


def _weaknesses(workflow: Workflow, job: Job, number: int, step: Map) -> Iterator[tuple[Place, str, str]]:
    known = table("gate_job")["workflow"]
    yield from _trigger(workflow)
    if _words(step["run"]) not in known["gate"]:
        yield (
            where(step, "run"),
            "more than the gate, or less of it, decides how the step ends",
            "make check-report",
        )
    yield from _keys(step, known["step"], where(step, "run"))
    yield from _keys(job.data, known["job"], job.place)
    yield from _defaults(workflow.data)
    yield from _environment(workflow.data)
    before = [each for each in job.steps()][:number]
    for each in before:
        yield from _before(each)
    if not any(_action(each) == "actions/checkout" for each in before):
        yield where(step, "run"), "nothing was checked out before it", "actions/checkout as a step before"


def _trigger(workflow: Workflow) -> Iterator[tuple[Place, str, str]]:
    """Yield the filters by which a pull request does not start the workflow."""
    settings = next(
        (value for name, value in workflow.triggers.items() if str(name).strip().lower() in PULL_REQUEST),
        None,
    )
    for name in mapping(settings):
        if name not in ("branches", "types"):
            yield where(settings, name), f"{name} leaves pull requests out", f"no {name}"
    branches = [str(each) for each in sequence(dig(settings, "branches"))]
    if "branches" in mapping(settings) and (
        not BRANCHES & set(branches) or any(each.startswith("!") for each in branches)
    ):
        yield where(settings, "branches"), "branches leaves pull requests out", "no branches, or main"
    types = {str(each) for each in sequence(dig(settings, "types"))}
    if "types" in mapping(settings) and not types >= TYPES:
        yield where(settings, "types"), "types leaves pull requests out", ", ".join(sorted(TYPES))


def _keys(data: Map, allowed: list[str], place: Place) -> Iterator[tuple[Place, str, str]]:
    """Yield the keys of a job or a step that are not known, and those whose values are not."""
    known = table("gate_job")["workflow"]
    for key, value in data.items():
        if key == "if":
            if not re.fullmatch(known["conditions"], str(value).strip()):
                yield where(data, key), "the gate runs under a condition only", "no if"
        elif key == "needs":
            if not re.fullmatch(known["conditions"], str(data.get("if", "")).strip()):
                yield where(data, key), "the gate is skipped if another job fails", "no needs"
        elif key == "defaults":
            yield from _defaults(data)
        elif key not in (*allowed, *known["values"], "env"):
            yield where(data, key), f"nobody knows what {key} makes of the gate", f"no {key}"
    yield from _values(data)
    yield from _environment(data)


def _values(data: Map) -> Iterator[tuple[Place, str, str]]:
    for key, allowed in table("gate_job")["workflow"]["values"].items():
        value = str(data.get(key, allowed[0])).strip()
        if value.lower() not in allowed:
            yield where(data, key), f"{key}: {value} takes the gate's result back", f"no {key}"


def _environment(data: Map) -> Iterator[tuple[Place, str, str]]:
    allowed = table("gate_job")["workflow"]["environment"]
    value = data.get("env")
    if value is not None and not isinstance(value, dict):
        yield where(data, "env"), "nobody knows which variables these are", "names and values"
    for name in mapping(value):
        if name not in allowed:
            what = f"{name} may make another gate of it"
            yield where(data, "env", name), what, f"{name} at the step that needs it, behind the gate"


def _defaults(data: Map) -> Iterator[tuple[Place, str, str]]:
    run = dig(data, "defaults", "run")
    if isinstance(run, Map):
        yield from _values(run)


def _before(step: Map) -> Iterator[tuple[Place, str, str]]:
    """Judge a step that runs before the gate."""
    known = table("gate_job")["workflow"]
    if "uses" in step:
        name, place = _action(step), where(step, "uses")
        if name not in known["actions"]:
            yield (
                place,
                f"{name} runs before the gate: it may change what is judged",
                "that step behind the gate",
            )
        for key in mapping(step.get("with")) if name in known["actions"] else ():
            if key not in known["actions"][name]:
                yield where(step, "with", key), f"{key}: the gate may judge something else", f"no {key}"
    elif _words(step.get("run")) not in (*known["before"], *known["gate"]):
        yield (
            where(step, "run"),
            "it runs before the gate: it may change what is judged",
            "that step behind the gate",
        )
    yield from _keys(step, known["step"], where(step))


def _action(step: Map) -> str:
    """Return the name of the action that a step uses, without its version."""
    return str(step.get("uses", "")).strip().lower().partition("@")[0]


def _words(run: Any) -> str:
    """Return a script without comments and with single blanks."""
    lines = (line.strip() for line in str(run).split("\n"))
    return " ; ".join(" ".join(line.split()) for line in lines if line and not line.startswith("#"))
