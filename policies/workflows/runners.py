"""On which machines a job may run."""

from __future__ import annotations

import re
from typing import Any

from policies.shared.located import dig, mapping, sequence
from policies.shared.tables import table
from policies.workflows.reader import Job

MATRIX = re.compile(r"^\$\{\{\s*matrix\.([\w-]+)\s*\}\}$")


def labels(job: Job) -> list[Any]:
    """Return every label that the job may run on; an expression is looked up in the matrix."""
    runs_on = job.get("runs-on")
    if isinstance(runs_on, dict):
        return (
            ["a group", *sequence(runs_on.get("labels"))]
            if "group" in runs_on
            else sequence(runs_on.get("labels"))
        )
    return [each for label in sequence(runs_on) for each in chosen(job, label)]


def chosen(job: Job, value: Any) -> list[Any]:
    """Return what a value of a job may be: an expression of the matrix is looked up there."""
    matched = MATRIX.match(str(value))
    if not matched:
        return [value]
    name = matched[1]
    included = [mapping(each).get(name) for each in sequence(job.get("strategy", "matrix", "include"))]
    values = [*sequence(dig(job.data, "strategy", "matrix", name)), *included]
    return [each for each in values if each is not None] or [value]


def hosted(label: Any) -> bool:
    """Tell whether a label names a runner of GitHub; it does not tell large letters from small ones."""
    return any(re.fullmatch(each, str(label).lower()) for each in table("actions")["runners"])
