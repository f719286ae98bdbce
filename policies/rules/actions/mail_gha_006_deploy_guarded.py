import re
from collections.abc import Iterator
from typing import Any

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.located import dig, mapping
from policies.sources.runners import hosted, labels
from policies.sources.shell import commands
from policies.sources.tables import table
from policies.sources.workflow import Job, Workflow

NAMED = re.compile(r"(?:^|[^a-z])(?:deploy|deployment|rollback|release-to-host)(?:$|[^a-z])", re.IGNORECASE)
#: Docker's own way to be told of another machine.
REMOTE = re.compile(r"\bDOCKER_(?:HOST|CONTEXT)[=:]\s*[\"']?\S")
#: A group with this in it is another one in every run.
ALONE = re.compile(r"github\s*\.\s*(?:run_id|run_number|run_attempt|sha|event\b)|hashFiles", re.IGNORECASE)


def _matches(text: Any, patterns: list[str]) -> bool:
    lines = commands(text) if isinstance(text, str) else ()
    return any(re.match(each, line.replace('"', "").replace("'", "")) for line in lines for each in patterns)


def deploys(job: Job, workflow: Workflow) -> bool:
    """Tell whether a job changes the host: by its name, or by what it runs."""
    known = table("actions")
    if NAMED.search(job.name) or NAMED.search(str(job.get("name") or "")):
        return True
    patterns = list(known["deploys"])
    if not all(hosted(label) for label in labels(job)):
        patterns += known["deploys_here"]
    for step in job.steps():
        texts = [step.get("run"), *mapping(step.get("with")).values()]
        if any(_matches(text, patterns) for text in texts) or REMOTE.search(str(step.get("run"))):
            return True
        if re.search(known["deploying_actions"], str(step.get("uses") or "").partition("@")[0].lower()):
            return True
    environments = (workflow.data.get("env"), job.get("env"), *(step.get("env") for step in job.steps()))
    return any(
        REMOTE.match(f"{name}: {value}") for env in environments for name, value in mapping(env).items()
    )


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
        """Look at every job that deploys; one that calls a workflow of this repository is looked at there."""
        for job in subject.jobs():
            called = str(job.get("uses") or "").startswith("./")
            if not subject.is_action and not called and deploys(job, subject):
                yield from self._job(subject, job)

    def _job(self, workflow: Workflow, job: Job) -> Iterator[Found]:
        environment = job.get("environment")
        if not (dig(environment, "name") if isinstance(environment, dict) else environment):
            yield Found(
                job.where("environment"), f"{job.name} has no environment", "an environment", job.name
            )
        groups = [
            (data.get("concurrency"), at("concurrency"))
            for data, at in ((job.data, job.where), (workflow.data, workflow.where))
        ]
        names = [(dig(each, "group") if isinstance(each, dict) else each) for each, _ in groups]
        if not any(names):
            yield Found(
                job.where("concurrency"), f"{job.name} may run twice at once", "a concurrency group", job.name
            )
        elif all(not name or ALONE.search(str(name)) for name in names):
            place = next(place for (_, place), name in zip(groups, names, strict=True) if name)
            yield Found(
                place,
                f"every run of {job.name} has a group of its own",
                "a group with a fixed name",
                job.name,
            )
        for group, place in groups:
            if isinstance(group, dict) and group.get("cancel-in-progress", False) is not False:
                yield Found(
                    place, f"{job.name} may be cancelled half-way", "cancel-in-progress: false", job.name
                )


check = MAIL_GHA_006()
