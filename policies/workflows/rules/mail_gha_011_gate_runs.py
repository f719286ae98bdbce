from collections.abc import Iterable, Iterator
from typing import Any

from policies.model import Found, Place, Severity
from policies.shared.repository import Repository
from policies.workflows import gate_makefile
from policies.workflows.gate_job import gate_steps, imitations, on_pull_requests, weaknesses
from policies.workflows.rule import ActionsRule


class MAIL_GHA_011(ActionsRule):
    """A gate that is skipped or replaced, or whose failure counts for nothing, lets everything through.

    A path filter, a condition or `|| true` was meant for one afternoon; nobody sees afterwards that pull
    requests are no longer checked, for a skipped job counts as passed. So only what is known to be the gate
    counts: `policies/data/gate_job.yml` has the rules of the Makefile and the steps of the job that run it.
    Other targets, variables, jobs, and steps behind the gate are free.
    """

    name = (
        "The gate runs on every pull request, and fails it: known steps, then make check-report, as recorded"
    )
    severity = Severity.CRITICAL
    fix = (
        "Run make check-report as a step of its own on pull_request, without filters, conditions or options; "
        "leave the Makefile's rules for it alone; what shall differ, record in policies/data/gate_job.yml"
    )
    bad = "steps:\n  - run: make check-report || true\n"
    good = "steps:\n  - uses: actions/checkout@<commit>\n  - run: make check-report\n"

    def subjects(self, repository: Repository) -> Iterable[Any]:
        """Return the repository: the gate may stand in any of its workflows."""
        return [repository]

    def check(self, subject: Any) -> Iterator[Found]:
        """Look for the workflow that runs the gate, and for what softens it; one hard run is enough."""
        workflows = [each for each in subject.workflows if not each.is_action]
        runs = [
            (job, list(weaknesses(workflow, job, number, step)))
            for workflow in workflows
            if on_pull_requests(workflow)
            for job, number, step in gate_steps(workflow)
        ]
        if not runs and workflows:
            files = [each.file for each in workflows]
            place = Place(next((file for file in files if "pull" in file), files[0]))
            yield Found(
                place, "no workflow runs the gate on pull requests", "make check-report on pull_request"
            )
        elif all(weak for _, weak in runs):
            yield from (each for _, weak in runs for each in weak)
        if runs:
            yield from imitations(workflows, [job for job, weak in runs if not weak])
        text = subject.text("Makefile") if "Makefile" in subject.files else ""
        if runs or gate_makefile.concerns(text):
            yield from self._makefile(subject, text)

    def _makefile(self, repository: Repository, text: str) -> Iterator[Found]:
        """The targets themselves must be the gate's; without a Makefile make fails, and so does the gate."""
        for file in gate_makefile.BEFORE:
            if file in repository.files:
                yield Found(Place(file), "make reads it in place of Makefile", "one Makefile", file)
        if text:
            yield from gate_makefile.weaknesses(text)


check = MAIL_GHA_011()
