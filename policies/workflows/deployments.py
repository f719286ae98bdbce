"""Jobs that change the host, whatever stands between the workflow and the command that does it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any

from policies.shared.located import Map, dig, mapping, sequence
from policies.shared.shell import FOLDER, commands
from policies.shared.tables import table
from policies.workflows.called import Called, commands_of, everything
from policies.workflows.expressions import expressions
from policies.workflows.reader import Job, Workflow
from policies.workflows.runners import chosen, hosted, labels

NAMED = re.compile(r"(?:^|[^a-z])(?:deploy|deployment|rollback|release-to-host)(?:$|[^a-z])", re.IGNORECASE)
#: Docker's own way to be told of another machine.
REMOTE = re.compile(r"\bDOCKER_(?:HOST|CONTEXT)[=:]\s*[\"']?\S")
#: A list of words in another language, which it may give to another program.
LISTED = re.compile(r"[(\[]\s*((?:[furb]?(?:\"[^\"\n]*\"|'[^'\n]*')\s*,?\s*)+)")
#: Actions in actions: no honest repository goes deeper.
DEEPEST = 4
#: What in an `if` leaves pull requests out.
AFTER_MERGE = re.compile(
    r"event_name\s*==\s*'(?:push|schedule|workflow_dispatch|release)'|github\.ref\s*==\s*'refs/heads/|"
    r"workflow_run\.event\s*==\s*'push'"
)


def steps_of(job: Job, workflow: Workflow) -> Iterator[Map]:
    """Yield the steps of a job, and those of this repository's actions that it uses."""
    waiting = [(step, 0) for step in job.steps()]
    while waiting:
        step, depth = waiting.pop(0)
        yield step
        uses = str(step.get("uses") or "")
        if uses.startswith("./") and workflow.repository and depth < DEEPEST:
            folder = posixpath.normpath(uses)
            for each in workflow.repository.workflows:
                if each.is_action and posixpath.dirname(each.file) == folder:
                    waiting += [(inner, depth + 1) for called in each.jobs() for inner in called.steps()]


def _lines(script: Called) -> Iterator[str]:
    if script.shell:
        yield from commands(script.text)
        yield from (FOLDER.sub("", each) for each in commands_of(script.text))
    else:
        for listed in LISTED.findall(script.text):
            words = re.findall(r"\"([^\"\n]*)\"|'([^'\n]*)'", listed)
            yield " ".join("".join(each) for each in words)


def _runs(text: Any, workflow: Workflow, folder: str, patterns: list[str]) -> bool:
    if not isinstance(text, str):
        return False
    scripts = everything(text, workflow.repository, folder) if workflow.repository else [Called("", text)]
    lines = (re.sub(r"[\"']", "", line) for script in scripts for line in _lines(script))
    return any(re.match(each, line) for line in lines for each in patterns)


def deploys(job: Job, workflow: Workflow) -> bool:
    """Tell whether a job changes the host: by its name, by what it runs, or by what that calls."""
    known = table("actions")
    if NAMED.search(job.name) or NAMED.search(str(job.get("name") or "")):
        return True
    if re.search(known["deploying_workflows"], str(job.get("uses") or "").partition("@")[0].lower()):
        return True
    patterns = list(known["deploys"])
    if not all(hosted(label) for label in labels(job)):
        patterns += known["deploys_here"]
    steps = list(steps_of(job, workflow))
    for step in steps:
        folder = str(step.get("working-directory") or job.get("defaults", "run", "working-directory") or ".")
        texts = [step.get("run"), *mapping(step.get("with")).values()]
        if any(_runs(text, workflow, folder, patterns) for text in texts) or REMOTE.search(
            str(step.get("run"))
        ):
            return True
        if re.search(known["deploying_actions"], str(step.get("uses") or "").partition("@")[0].lower()):
            return True
    environments = (workflow.data.get("env"), job.get("env"), *(step.get("env") for step in steps))
    return any(
        REMOTE.match(f"{name}: {value}") for env in environments for name, value in mapping(env).items()
    )


def from_pull_requests(job: Job, workflow: Workflow) -> bool:
    """Tell whether somebody without the right to write can start a job."""
    called = "workflow_call" in workflow.started_by() and workflow.repository
    callers = [
        (other, caller)
        for caller in (workflow.repository.workflows if called else ())
        for other in caller.jobs()
        if posixpath.normpath(str(other.get("uses") or "")) == workflow.file and caller.file != workflow.file
    ]
    if any(from_pull_requests(*each) for each in callers):
        return True
    if not workflow.started_by() - {*table("actions")["trusted"], "workflow_call"}:
        return False
    jobs = {each.name: each for each in workflow.jobs()}
    before = [jobs[str(name)] for name in sequence(job.get("needs")) if str(name) in jobs]
    return not any(AFTER_MERGE.search(str(each.get("if") or "")) for each in (job, *before))


def fixed(text: Any, job: Job, workflow: Workflow) -> bool:
    """Tell whether a text is the same in every run, so that runs wait for each other by it."""
    push = next((value for name, value in workflow.triggers.items() if str(name).lower() == "push"), None)
    branches = sequence(dig(push, "branches"))
    one_branch = (
        workflow.started_by() <= {"push", "schedule"}
        and len(branches) == 1
        and not re.search(r"[*?!+\[]", str(branches[0]))
        and "tags" not in mapping(push)
    )
    kept = [
        *table("actions")["same_in_every_run"],
        *(table("actions")["same_on_a_branch"] if one_branch else ()),
    ]
    return all(
        any(re.fullmatch(pattern, each.lower()) for pattern in kept) for each in expressions(str(text))
    )


def unguarded(environment: Any, job: Job) -> str:
    """Say what is wrong with the environment of a job that deploys; nothing if it is a plain name."""
    name = dig(environment, "name") if isinstance(environment, dict) else environment
    if not name:
        return f"{job.name} has no environment"
    return (
        ""
        if all(each and not expressions(str(each)) for each in chosen(job, name))
        else (f"which environment {job.name} has shows only when it runs")
    )
