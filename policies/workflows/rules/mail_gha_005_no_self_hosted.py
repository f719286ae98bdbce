from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.tables import table
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule
from policies.workflows.runners import hosted, labels


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
        if subject.is_action or not subject.started_by() - set(table("actions")["trusted"]):
            return
        for job in subject.jobs():
            if "uses" in job.data:
                continue
            names = labels(job) or ["nothing"]
            for label in names:
                if not hosted(label):
                    yield Found(job.where("runs-on"), f"it runs on {label}", "a runner of GitHub", job.name)


check = MAIL_GHA_005()
