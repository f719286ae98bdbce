"""What every job must say: permissions, runners, limits of time, pinned images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place
from policies.shared.located import Map, dig, mapping, sequence, where
from policies.workflows.expressions import KNOWN
from policies.workflows.reader import Job, Workflow

READS = ("read", "none")
#: How many minutes a job takes at most if it does not say so, and at all.
LONGEST = 360
DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")
MATRIX = re.compile(r"^\$\{\{\s*matrix\.([\w-]+)\s*\}\}$")


def permissions(workflow: Workflow) -> Iterator[Found]:
    """Look at the permissions of the workflow and of each job; zizmor looks for those that are missing."""
    may = KNOWN["writes"] | workflow.repository.policy.section("workflows", "writes")
    yield from _written(workflow, workflow.data, "", ())
    for job in workflow.jobs():
        left_out = re.search(KNOWN["without_strangers"], str(job.get("if") or ""))
        refused = KNOWN["after_merge"] if workflow.open_to_strangers and not left_out else ()
        allowed = {name: why for name, why in may.items() if name not in refused}
        yield from _written(workflow, job.data, job.name, allowed)


def _written(workflow: Workflow, data: Map, job: str, may: Any) -> Iterator[Found]:
    for name, right in mapping(data.get("permissions")).items():
        if right in READS or (right == "write" and name in may):
            continue
        row = ""
        if not job:
            should = "read here; a write only in the job that needs it"
        elif name in KNOWN["after_merge"]:
            should = "read: strangers can start this workflow"
        else:
            should = "read"
            if right == "write":
                row = workflow.repository.policy.row("workflows", "writes", name, value="what it is for")
        entity = f"{job or 'workflow'}/permissions/{name}"
        yield Found(where(data, "permissions", name), f"{name} is {right}", should, entity, row)


def runners(workflow: Workflow) -> Iterator[Found]:
    """Look at the runner of each job that a stranger may start."""
    for job in workflow.jobs() if workflow.open_to_strangers else ():
        for label in (labels(job) or ["nothing"]) if "uses" not in job.data else ():
            if not hosted(label, workflow):
                plain = re.fullmatch(r"[\w.-]+", str(label)) and "runs-on" in job.data
                pattern = re.escape(str(label).lower())
                policy = workflow.repository.policy
                row = policy.entry("workflows", "runners", value=pattern) if plain else ""
                where, entity = job.where("runs-on"), f"{job.name}/runs-on/{label}"
                yield Found(where, f"it runs on {label}", "a runner of GitHub", entity, row)


def labels(job: Job) -> list[Any]:
    """Return every label that the job may run on; an expression is looked up in the matrix."""
    runs_on = job.get("runs-on")
    if isinstance(runs_on, dict):
        return [*(["a group"] if "group" in runs_on else []), *sequence(runs_on.get("labels"))]
    found = []
    for label in sequence(runs_on):
        matched = MATRIX.match(str(label))
        name = matched[1] if matched else ""
        included = [mapping(each).get(name) for each in sequence(job.get("strategy", "matrix", "include"))]
        values = [*sequence(dig(job.data, "strategy", "matrix", name)), *included]
        found += [each for each in values if each is not None] or [label]
    return found


def hosted(label: Any, workflow: Workflow) -> bool:
    """Tell whether a label names a runner of GitHub, or one that policy.yml lists."""
    known = [*KNOWN["runners"], *workflow.repository.policy.values("workflows", "runners")]
    return any(re.fullmatch(str(each), str(label).lower()) for each in known)


def timeouts(workflow: Workflow) -> Iterator[Found]:
    """Look at every job with steps of its own."""
    policy = workflow.repository.policy
    most = policy.get("workflows", "minutes") or KNOWN["minutes"]
    for job in () if workflow.is_action else workflow.jobs():
        minutes = job.get("timeout-minutes")
        number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
        if "uses" in job.data or (number and 0 < minutes <= most):
            continue
        what = f"{job.name} may take {minutes or LONGEST} minutes"
        allowed = isinstance(minutes, int) and most < minutes <= LONGEST
        row = policy.row("workflows", "minutes", value=minutes) if allowed else ""
        entity = f"{job.name}/timeout-minutes"
        yield Found(job.where("timeout-minutes"), what, f"1 to {most} minutes", entity, row)


def images(workflow: Workflow) -> Iterator[Found]:
    """Look at containers, services and the image of an action."""
    for job in workflow.jobs():
        for name, image, place in _images(job.data):
            if image is not None and not DIGEST.fullmatch(str(image)):
                yield Found(place, f"{image} has no digest", "name:tag@sha256:…", f"{job.name}/{name}")


def _images(data: Map) -> Iterator[tuple[str, Any, Place]]:
    container = data.get("container")
    image = container.get("image") if isinstance(container, dict) else container
    yield "container", image, where(data, "container", "image")
    for name, service in mapping(data.get("services")).items():
        image = service.get("image") if isinstance(service, dict) else service
        yield f"services/{name}", image, where(data, "services", name, "image")
    # Without docker:// it is a Dockerfile of the action's own folder.
    if str(data.get("image")).lower().startswith("docker://"):
        yield "image", data["image"], where(data, "image")
    for number, step in enumerate(sequence(data.get("steps"))):
        if str(dig(step, "uses")).startswith("docker://"):
            yield f"steps/{number + 1}/uses", step["uses"], where(step, "uses")
