from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import dig
from policies.workflows.deployments import deploys, fixed, from_pull_requests, unguarded
from policies.workflows.reader import Job, Workflow
from policies.workflows.rule import ActionsRule


class MAIL_GHA_006(ActionsRule):
    """Two deployments at once leave the host between two versions, and a rollback takes the wrong one back.

    An environment keeps the keys away from every other job, and lets a person approve; a cancelled deployment
    stops in the middle. What a job calls here, scripts, targets and actions, counts as its own.
    """

    name = (
        "Deployment guarded: after the merge, an environment, a fixed concurrency group that does not cancel"
    )
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
        if what := unguarded(job.get("environment"), job):
            yield Found(job.where("environment"), what, "an environment with a plain name", job.name)
        if from_pull_requests(job, workflow):
            what = f"a pull request or another stranger starts {job.name}"
            yield Found(job.place, what, "a workflow that only a push to main starts", job.name)
        groups = [
            (data.get("concurrency"), at("concurrency"))
            for data, at in ((job.data, job.where), (workflow.data, workflow.where))
        ]
        names = [(dig(each, "group") if isinstance(each, dict) else each) for each, _ in groups]
        if not any(names):
            yield Found(
                job.where("concurrency"), f"{job.name} may run twice at once", "a concurrency group", job.name
            )
        elif not any(name and fixed(name, job, workflow) for name in names):
            place = next(place for (_, place), name in zip(groups, names, strict=True) if name)
            what = f"two runs of {job.name} may have two groups"
            yield Found(place, what, "a group with a fixed name", job.name)
        for group, place in groups:
            if isinstance(group, dict) and group.get("cancel-in-progress", False) is not False:
                yield Found(
                    place, f"{job.name} may be cancelled half-way", "cancel-in-progress: false", job.name
                )


check = MAIL_GHA_006()
