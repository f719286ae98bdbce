"""Text of strangers that becomes code. zizmor sees expressions that are pasted into scripts; this follows a
variable one step further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place
from policies.shared.located import Map, dig, mapping, where
from policies.workflows.expressions import KNOWN, foreign
from policies.workflows.reader import Job, Workflow

#: A comment, and the text between single quotes, in which a shell replaces nothing.
COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)
LITERAL = re.compile(r"'[^'\n]*'")


def strangers(workflow: Workflow) -> Iterator[Found]:
    """Look at where scripts run, at options of containers, and at what scripts do with variables."""
    inputs = workflow.plain_inputs()
    for job in workflow.jobs():
        for path, value, place in _settings(workflow, job):
            if foreign(value, inputs):
                entity = f"{job.name}/{path}"
                yield Found(place, f"a stranger's text says {path}", "plain text", entity)
        for step in job.steps():
            names = {*KNOWN["strangers"], *_names(workflow.data, inputs), *_names(job.data, inputs)}
            names = {*names, *_names(step, inputs)}
            script = str(step.get("run") or "")
            for name in sorted(each for each in names if each in script):
                if runs(script, name):
                    what = f"{name} holds a stranger's text and is run as code"
                    entity = f"{job.name}/{step.get('name') or 'run'}/{name}"
                    yield Found(where(step, "run"), what, f'"${name}" as an argument', entity)


def runs(script: str, name: str) -> bool:
    """Tell whether a shell makes code of a variable."""
    plain = COMMENT.sub("", script).replace("\\\n", " ")
    variable = rf"[\"']?\$(?:{re.escape(name)}\b|\{{{re.escape(name)}\}})"
    return any(
        re.search(each.replace("VARIABLE", variable), LITERAL.sub("''", plain), re.MULTILINE)
        for each in KNOWN["runs_variable"]
    )


def _names(data: Any, inputs: set[str]) -> set[str]:
    return {str(name) for name, value in mapping(mapping(data).get("env")).items() if foreign(value, inputs)}


def _settings(workflow: Workflow, job: Job) -> Iterator[tuple[str, Any, Place]]:
    """Yield what says how and where scripts run, and what a container may."""
    owners: tuple[Map, ...] = (workflow.data, job.data)
    for name in ("shell", "working-directory"):
        for data in owners:
            yield name, dig(data, "defaults", "run", name), where(data, "defaults", "run", name)
        for step in job.steps():
            yield name, step.get(name), where(step, name)
    for path in (("container",), *(("services", name) for name in mapping(job.get("services")))):
        yield "/".join((*path, "options")), job.get(*path, "options"), job.where(*path, "options")
