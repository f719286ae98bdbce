"""Text of strangers that becomes code. zizmor sees expressions that are pasted into scripts; this follows a
variable one step further.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import mapping, where
from policies.workflows.expressions import KNOWN, foreign
from policies.workflows.reader import Workflow

#: A comment, and the text between single quotes, in which a shell replaces nothing.
COMMENT = re.compile(r"(?:^|(?<=\s))#[^\n]*", re.MULTILINE)
LITERAL = re.compile(r"'[^'\n]*'")


def strangers(workflow: Workflow) -> Iterator[Found]:
    """Look at what scripts do with variables."""
    inputs = workflow.plain_inputs()
    for job in workflow.jobs():
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
