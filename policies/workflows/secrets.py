"""Secrets that are given to more than one step, or printed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.model import Found
from policies.shared.located import Map, dig, mapping, where
from policies.workflows.expressions import expressions, holds_secret, secret, secret_names
from policies.workflows.reader import Job, Workflow

CODE = (("run",), ("with", "script"))
#: Commands that print what they run, or every variable.
PRINTS_ALL = re.compile(
    r"(?m)\bset\s+-\w*x|\bset\s+-o\s+xtrace|\b(?:ba|da)?sh\s+-\w*x\b|(?:^|[;&|]\s*)(?:printenv|export\s+-p|env)\s*(?:$|[;&>])"
)
#: A command that prints a variable: to the log, or through what changes it so that GitHub no longer hides it.
PRINTS = (
    r"(?m)(?:\b(?:echo|printf|print|printenv)\b(?!\s+[\"']?::add-mask::)|\bcat\b[^\n|>]*<<<?-?\s*(?:\w+\n(?:[^\n]*\n)*?)?)"
    r"[^\n|>]*(?<!#)NAME[^\n|>]*"
    r"(?:$|>&2|>>\s*[\"']?\$\{?GITHUB_|\|\s*(?:base64|rev|tee|cat|xxd|od|sed|cut|tr|fold)\b)"
)


def secrets(workflow: Workflow) -> Iterator[Found]:
    """Look at the environments of workflow and jobs, at results of jobs, and at scripts."""
    owners: list[tuple[Map, str]] = [] if workflow.is_action else [(workflow.data, "workflow")]
    for job in workflow.jobs():
        if not workflow.is_action:
            owners.append((job.data, job.name))
            yield from _results(job)
        yield from _containers(job)
        for number, step in enumerate(job.steps(), 1):
            yield from _step(
                step, f"{job.name}/{step.get('name') or step.get('id') or number}", job, workflow
            )
    for data, owner in owners:
        for name in sorted(secret_names(data.get("env"))):
            what = f"{name} holds a secret for every step"
            yield Found(where(data, "env", name), what, "the env of one step", f"{owner}/env/{name}")


def _containers(job: Job) -> Iterator[Found]:
    for path in (("container",), *(("services", name) for name in mapping(job.get("services")))):
        for name in sorted(secret_names(job.get(*path, "env"))):
            what, entity = f"{name} holds a secret for every step", f"{job.name}/{'/'.join(path)}/env/{name}"
            yield Found(job.where(*path, "env", name), what, "the env of one step", entity)


def _results(job: Job) -> Iterator[Found]:
    for name, value in mapping(job.get("outputs")).items():
        if holds_secret(value):
            entity = f"{job.name}/outputs/{name}"
            what = f"the output {name} is a secret"
            yield Found(job.where("outputs", name), what, "the secret itself, in that job", entity)


def _step(step: Map, entity: str, job: Job, workflow: Workflow) -> Iterator[Found]:
    names = sorted(secret_names(step.get("env")))
    for path in CODE:
        script, place = dig(step, *path), where(step, *path)
        if not isinstance(script, str):
            continue
        script = script.replace("\\\n", " ")
        if any(secret(each) for each in expressions(script)):
            yield Found(place, "a secret is pasted into a script", "env", f"{entity}/secret")
        elif names and (PRINTS_ALL.search(script) or re.search(r"\s-\w*x", str(_shell(step, job, workflow)))):
            what = "commands or variables are printed with their values"
            yield Found(place, what, "no tracing", f"{entity}/trace")
        for name in names:
            if re.search(PRINTS.replace("NAME", rf"\b{re.escape(name)}\b"), script):
                yield Found(place, f"{name} is printed", "a program that reads it", f"{entity}/{name}")


def _shell(step: Map, job: Job, workflow: Workflow) -> object:
    path = ("defaults", "run", "shell")
    return step.get("shell") or job.get(*path) or dig(workflow.data, *path) or ""
