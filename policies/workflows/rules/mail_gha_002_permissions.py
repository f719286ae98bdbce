from collections.abc import Iterator
from typing import Any

from policies.model import Found, Place, Severity
from policies.shared.located import Map, mapping, where
from policies.shared.tables import table
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule

READS = ("read", "none")


class MAIL_GHA_002(ActionsRule):
    """Without permissions the token of a run may have every right in the repository, as its settings like.

    One bad dependency of a test then pushes to main, makes a release or approves its own pull request.
    """

    name = "Least permissions: contents: read at the top, a write only in the job that needs it"
    severity = Severity.HIGH
    fix = "Write permissions: { contents: read } at the top, and what a job writes in that job"
    bad = "on: push\npermissions: write-all\n"
    good = "on: push\npermissions:\n  contents: read\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at the permissions of the workflow and of each job."""
        if subject.is_action:
            return
        top, may = subject.data.get("permissions"), dict(table("actions")["writes"])
        if subject.started_by() - set(table("actions")["trusted"]):
            may = {name: why for name, why in may.items() if name not in table("actions")["after_merge"]}
        jobs = list(subject.jobs())
        if "permissions" in subject.data:
            yield from self._given(top, where(subject.data, "permissions"), "", ())
        for job in jobs:
            if "permissions" in job.data:
                yield from self._given(job.data["permissions"], job.where("permissions"), job.name, may)
            elif "permissions" not in subject.data:
                yield Found(job.place, f"{job.name} has no permissions", "contents: read", job.name)

    def _given(self, value: Any, place: Place, entity: str, may: Any) -> Iterator[Found]:
        if not isinstance(value, dict):
            yield Found(place, f"the permissions are {value}", "one by one, contents: read", entity)
        for name, right in mapping(value).items():
            at = where(value, name) if isinstance(value, Map) else place
            if right not in READS and not (right == "write" and name in may):
                yield Found(at, f"{name} is {right}", self._instead(name, right, entity), entity)

    def _instead(self, name: str, right: Any, job: str) -> str:
        """Say what may stand there, and where a write that a job does need is decided."""
        table_of_writes = "writes in policies/data/actions.yml"
        if right != "write":
            return "read or none"
        if not job:
            return f"read here; a write only in the job that needs it, if it stands below {table_of_writes}"
        if name in table("actions")["after_merge"]:
            return "read: strangers can start this workflow"
        return f"read; or what it is for, as a line {name}: … below {table_of_writes}"


check = MAIL_GHA_002()
