import posixpath
import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Severity
from policies.shared.located import where
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule

COMMIT = re.compile(r"[\w.-]+/[^\s@]+@(?!0{40})[0-9a-f]{40}")
IMAGE = re.compile(r"docker://[^\s@]+@sha256:[0-9a-f]{64}")
#: What makes a folder of this repository an action.
PARTS = ("action.yml", "action.yaml", "Dockerfile")


class MAIL_GHA_001(ActionsRule):
    """A tag of an action can be moved to other code; a commit cannot.

    Whoever takes over an action's repository and moves its tag gets our token and our secrets in the next
    run.
    """

    name = "Action pinned by commit: write uses: owner/name@<40 hex digits> # v1.2.3"
    severity = Severity.HIGH
    fix = "Look the commit of the release up and write it in full, with the version as a comment"
    bad = "jobs:\n  test:\n    steps:\n      - uses: actions/checkout@v5\n"
    good = (
        "jobs:\n  test:\n    steps:\n      - uses: "
        "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0\n"
    )

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every `uses` of steps and of jobs."""
        for job in subject.jobs():
            for step in [job.data, *job.steps()]:
                if "uses" in step and (what := self._complaint(step["uses"], subject)):
                    should = "owner/name@<40 hex digits>, or ./ and a folder that is here"
                    yield Found(where(step, "uses"), what, should, job.name)

    def _complaint(self, uses: Any, workflow: Workflow) -> str:
        if not isinstance(uses, str):
            return f"{uses} names no action"
        if uses.startswith("./"):
            path = posixpath.normpath(uses)
            here = path in workflow.files or any(
                f"{path}/{part}".removeprefix("./") in workflow.files for part in PARTS
            )
            return "" if here else f"{uses} is not in this repository: nobody sees what it does"
        pinned = IMAGE if uses.startswith("docker://") else COMMIT
        return "" if pinned.fullmatch(uses) else f"{uses} is not pinned by a commit"


check = MAIL_GHA_001()
