from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.tables import table
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule


class MAIL_GHA_007(ActionsRule):
    """A job that hangs runs for six hours; it is paid for, and the next pull request waits behind it.

    `up --wait` without a limit is one way to hang, a test that waits for a mail another.
    """

    name = "Timeout set: timeout-minutes for every job, at most 60"
    severity = Severity.MEDIUM
    fix = "Add timeout-minutes to the job"
    bad = "jobs:\n  test:\n    runs-on: ubuntu-24.04\n"
    good = "jobs:\n  test:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 20\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every job with steps of its own."""
        most = table("actions")["minutes"]
        for job in () if subject.is_action else subject.jobs():
            minutes = job.get("timeout-minutes")
            number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
            right = number and 0 < minutes <= most
            if "uses" not in job.data and not right:
                plain = number or minutes is None
                what = (
                    f"{job.name} may take {minutes or 360} minutes"
                    if plain
                    else f"its limit is {minutes!r}, no number"
                )
                yield Found(job.where("timeout-minutes"), what, f"1 to {most} minutes", job.name)


check = MAIL_GHA_007()
