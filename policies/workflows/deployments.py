"""Jobs that change the host, and what must guard them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.model import Found
from policies.shared.located import dig, mapping, sequence
from policies.shared.shell import commands
from policies.workflows.expressions import KNOWN, expressions
from policies.workflows.jobs import hosted, labels
from policies.workflows.reader import Job, Workflow

NAMED = re.compile(r"(?:^|[^a-z])(?:deploy|deployment|rollback)(?:$|[^a-z])", re.IGNORECASE)
#: What in an `if` leaves pull requests out.
AFTER_MERGE = re.compile(
    r"event_name\s*==\s*'(?:push|schedule|workflow_dispatch|release)'|github\.ref\s*==\s*'refs/heads/|"
    r"workflow_run\.event\s*==\s*'push'"
)


def deployments(workflow: Workflow) -> Iterator[Found]:
    """Look at every job that deploys; one that calls a workflow of this repository is looked at there."""
    for job in workflow.jobs():
        called = str(job.get("uses") or "").startswith(("./", "$/"))
        if not workflow.is_action and not called and deploys(job, workflow):
            if workflow.repository.policy.get("workflows", "environments") is not False:
                yield from _environment(job)
            yield from _start(job, workflow)
            yield from _group(job, workflow)


def deploys(job: Job, workflow: Workflow) -> bool:
    """Tell whether a job changes the host: by its name, or by what its steps run."""
    if NAMED.search(job.name) or NAMED.search(str(job.get("name") or "")):
        return True
    own = not all(hosted(label, workflow) for label in labels(job))
    patterns = [*KNOWN["deploys"], *(KNOWN["deploys_here"] if own else ())]
    for step in job.steps():
        texts = [step.get("run"), *mapping(step.get("with")).values()]
        lines = (line for text in texts if isinstance(text, str) for line in commands(text))
        if any(re.match(each, line) for line in lines for each in patterns):
            return True
        if re.search(KNOWN["deploying_actions"], str(step.get("uses") or "").partition("@")[0].lower()):
            return True
    owners = (workflow.data, job.data, *job.steps())
    return any("DOCKER_HOST" in mapping(each.get("env")) for each in owners)


def follows_main(workflow: Workflow) -> bool:
    """Tell whether each of its jobs only follows another workflow's run of a push to main that ended well."""
    conditions = [str(job.get("if") or "") for job in workflow.jobs()]
    demanded = all(re.search(part, each) for part in KNOWN["follows_main"] for each in conditions)
    return workflow.started_by() == {"workflow_run"} and demanded and "||" not in " ".join(conditions)


def _environment(job: Job) -> Iterator[Found]:
    given = job.get("environment")
    name = dig(given, "name") if isinstance(given, dict) else given
    chosen = [each for each in expressions(str(name or "")) if not each.startswith("matrix.")]
    if not name or chosen:
        what = f"which environment {job.name} has shows only when it runs" if chosen else "no environment"
        entity = f"{job.name}/environment"
        yield Found(job.where("environment"), what, "an environment with a plain name", entity)


def _start(job: Job, workflow: Workflow) -> Iterator[Found]:
    jobs = {each.name: each for each in workflow.jobs()}
    before = [jobs[str(name)] for name in sequence(job.get("needs")) if str(name) in jobs]
    guarded = any(AFTER_MERGE.search(str(each.get("if") or "")) for each in (job, *before))
    if workflow.open_to_strangers and not guarded:
        what = f"a pull request or another stranger starts {job.name}"
        yield Found(job.place, what, "a workflow that only a push to main starts", f"{job.name}/on")


def _group(job: Job, workflow: Workflow) -> Iterator[Found]:
    entity, names = f"{job.name}/concurrency", []
    for data, at in ((job.data, job.where), (workflow.data, workflow.where)):
        group = data.get("concurrency")
        names.append(str((dig(group, "group") if isinstance(group, dict) else group) or ""))
        if isinstance(group, dict) and group.get("cancel-in-progress", False) is not False:
            what = f"{job.name} may be cancelled half-way"
            yield Found(at("concurrency"), what, "cancel-in-progress: false", f"{entity}/cancel-in-progress")
    if not any(names):
        what = f"{job.name} may run twice at once"
        yield Found(job.where("concurrency"), what, "a concurrency group", entity)
    elif not any(name and _fixed(name, workflow) for name in names):
        place = job.where("concurrency") if names[0] else workflow.where("concurrency")
        what = f"two runs of {job.name} may have two groups"
        yield Found(place, what, "a group with a fixed name", f"{entity}/group")


def _fixed(text: str, workflow: Workflow) -> bool:
    """Tell whether a group's name is the same in every run; the branch is, where only one branch counts."""
    branches = [str(each) for each in sequence(dig(mapping(workflow.triggers.get("push")), "branches"))]
    one = workflow.started_by() <= {"push", "schedule"} and len(branches) == 1 and "*" not in branches[0]
    kept = [*KNOWN["same_in_every_run"], *([r"github\.ref(?:_name)?"] if one else [])]
    return all(any(re.fullmatch(each, inside.lower()) for each in kept) for inside in expressions(text))
