import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.located import dig, mapping, sequence
from policies.sources.tables import table
from policies.sources.workflow import Job, Workflow

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
    found: list[Any] = []
    for label in sequence(runs_on):
        if matched := MATRIX.match(str(label)):
            name = matched[1]
            included = [
                mapping(each).get(name) for each in sequence(job.get("strategy", "matrix", "include"))
            ]
            values = [*sequence(dig(job.data, "strategy", "matrix", name)), *included]
            found += [each for each in values if each is not None] or [label]
        else:
            found.append(label)
    return found


class MAIL_GHA_005(ActionsRule):
    """A pull request brings code of a stranger; on our own runner it reads the disk and stays for later jobs.

    The runner of this project is the mail host itself: that stranger would read everybody's mail.
    """

    name = "No self-hosted runner on pull requests: runs-on: ubuntu-24.04 or another runner of GitHub"
    severity = Severity.CRITICAL
    fix = "Use a runner of GitHub; deploy from a workflow that only a push to main starts"
    bad = "on: pull_request\njobs:\n  test:\n    runs-on: self-hosted\n"
    good = "on: pull_request\njobs:\n  test:\n    runs-on: ubuntu-24.04\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at the runner of each job that a pull request may start."""
        if subject.is_action or not set(subject.triggers) & set(table("actions")["strangers"]):
            return
        for job in subject.jobs():
            if "uses" in job.data:
                continue
            names = labels(job) or ["nothing"]
            for label in names:
                if not any(fnmatchcase(str(label), each) for each in table("actions")["runners"]):
                    yield Found(job.where("runs-on"), f"it runs on {label}", "a runner of GitHub", job.name)


check = MAIL_GHA_005()
