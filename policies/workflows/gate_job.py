"""The job that runs the gate: that it is there, and that its failure counts.

Plain accidents only: whoever wants
to take the gate away edits the gate, and against that there are CODEOWNERS and a protected branch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.model import Found, Place
from policies.shared.located import Map, mapping, sequence, where
from policies.shared.repository import Repository
from policies.workflows.reader import Job, Workflow

RUNS = re.compile(
    r"\bmake\b[^\n;&|]*(?<![\w-])check(?:-report)?(?![\w-])|\bpolicies(?:/__main__\.py)?\s+check\b"
)
#: What behind or around the command lets its failure pass, or lets it look at less.
FORGIVES = re.compile(
    r"\bset\s+\+e\b|[;|]|(?<!&)&(?!&)|\bif\b|--only|--families|\s-[ikn]\b|--(?:dry-run|just-print|ignore-errors)"
)
#: Conditions under which the gate runs whatever happened before.
ALWAYS = re.compile(r"(?:\$\{\{)?\s*(?:always\(\)|!\s*cancelled\(\)|success\(\)|true)\s*(?:\}\})?")
#: Filters of pull_request, and what must be among the entries of those that may be there.
FILTERS = {"branches": {"main"}, "types": {"synchronize"}}
FILTERS |= {key: {""} for key in ("paths", "paths-ignore", "branches-ignore")}


def gate(repository: Repository) -> Iterator[Found]:
    """Look for the step that runs the gate on pull requests; one that nothing softens is enough."""
    workflows = [each for each in repository.workflows if not each.is_action]
    asked = [each for each in workflows if each.started_by() & {"pull_request", "pull_request_target"}]
    runs = [list(_weaknesses(workflow, job, step)) for workflow in asked for job, step in _steps(workflow)]
    if workflows and not runs:
        files = [each.file for each in workflows]
        place = Place(next((file for file in files if "pull" in file), files[0]))
        yield Found(place, "no workflow runs the gate on pull requests", "make check-report", "gate")
    elif runs and all(runs):
        yield from (each for weak in runs for each in weak)


def _steps(workflow: Workflow) -> Iterator[tuple[Job, Map]]:
    for job in workflow.jobs():
        for step in job.steps():
            if RUNS.search(_commands(step)):
                yield job, step


def _commands(step: Map) -> str:
    lines = str(step.get("run") or "").splitlines()
    said = (line for line in lines if not re.match(r"\s*(?:#|echo\b|printf\b)", line))
    return "\n".join(said).replace("\\\n", " ")


def _weaknesses(workflow: Workflow, job: Job, step: Map) -> Iterator[Found]:
    """Yield what lets a pull request pass although the gate would stop it."""
    should, trigger = "the gate on every pull request", workflow.triggers.get("pull_request")
    for name, needed in FILTERS.items():
        if name in mapping(trigger) and not needed <= {
            str(each) for each in sequence(mapping(trigger)[name])
        }:
            on = workflow.data["on" if "on" in workflow.data else True]
            place = where(on, "pull_request", name)
            yield Found(place, f"{name} leaves pull requests out", should, f"pull_request/{name}")
    for owner, data in ((job.name, job.data), (f"{job.name}/gate", step)):
        condition = data.get("if")
        if condition is not None and not ALWAYS.fullmatch(str(condition)):
            yield Found(where(data, "if"), f"it runs only if {condition}", should, f"{owner}/if")
        if data.get("continue-on-error") not in (None, False):
            place, entity = where(data, "continue-on-error"), f"{owner}/continue-on-error"
            yield Found(place, "its failure counts for nothing", "no continue-on-error", entity)
    if job.get("needs") and not ALWAYS.fullmatch(str(job.get("if"))):
        yield Found(job.where("needs"), "it is skipped when another job fails", should, f"{job.name}/needs")
    if FORGIVES.search(_commands(step).strip()):
        what = "its failure counts for nothing, or it looks at less"
        yield Found(where(step, "run"), what, "make check-report alone", f"{job.name}/gate/run")
