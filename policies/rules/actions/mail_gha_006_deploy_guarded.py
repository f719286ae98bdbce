import re
from collections.abc import Iterator

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.located import dig
from policies.sources.workflow import Job, Workflow

DEPLOYS = re.compile(
    r"\b(?:make|mailctl|cap|kamal|ansistrano)\s+(?:-\S+\s+)*(?:deploy|rollback)\b|\bansible-playbook\b"
    r"|(?:^|[\s;&|])(?:ssh|rsync|scp)\s|\bdocker\s+compose\s(?:[^\n]*\s)?up\b[^\n]*-H\b"
)
NAMED = re.compile(r"(?:^|[^a-z])(?:deploy|deployment|rollback|release-to-host)(?:$|[^a-z])", re.IGNORECASE)


def deploys(job: Job) -> bool:
    """Tell whether a job changes the host: by its name, or by what it runs."""
    if NAMED.search(job.name) or NAMED.search(str(job.get("name") or "")):
        return True
    return any(isinstance(step.get("run"), str) and DEPLOYS.search(step["run"]) for step in job.steps())


class MAIL_GHA_006(ActionsRule):
    """Two deployments at once leave the host between two versions, and a rollback takes the wrong one back.

    An environment keeps the keys away from every other job, and lets a person approve; a cancelled deployment
    stops in the middle.
    """

    name = "Deployment guarded: an environment, and a concurrency group that does not cancel"
    severity = Severity.HIGH
    fix = "Give the job an environment and concurrency: { group: production, cancel-in-progress: false }"
    bad = "jobs:\n  deploy:\n    steps:\n      - run: make deploy\n"
    good = (
        "jobs:\n  deploy:\n    environment: production\n    concurrency:\n      group: production\n"
        "      cancel-in-progress: false\n    steps:\n      - run: make deploy\n"
    )

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every job that deploys."""
        for job in subject.jobs():
            if not subject.is_action and deploys(job):
                yield from self._job(subject, job)

    def _job(self, workflow: Workflow, job: Job) -> Iterator[Found]:
        environment = job.get("environment")
        if not (dig(environment, "name") if isinstance(environment, dict) else environment):
            yield Found(
                job.where("environment"), f"{job.name} has no environment", "an environment", job.name
            )
        own = "concurrency" in job.data
        group = job.get("concurrency") if own else workflow.data.get("concurrency")
        place = job.where("concurrency") if own or group is None else workflow.where("concurrency")
        if not group:
            yield Found(place, f"{job.name} may run twice at once", "a concurrency group", job.name)
        elif isinstance(group, dict) and group.get("cancel-in-progress", False) is not False:
            yield Found(place, f"{job.name} may be cancelled half-way", "cancel-in-progress: false", job.name)


check = MAIL_GHA_006()
