import re
from collections.abc import Iterator

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.located import where
from policies.sources.workflow import Workflow

COMMIT = re.compile(r"^[0-9a-f]{40}$")


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
                uses = step.get("uses")
                if uses is None or (isinstance(uses, str) and uses.startswith("./")):
                    continue
                if isinstance(uses, str) and uses.startswith("docker://"):
                    pinned = re.search(r"@sha256:[0-9a-f]{64}$", uses)
                else:
                    pinned = COMMIT.match(str(uses).partition("@")[2])
                if not pinned:
                    yield Found(
                        where(step, "uses"),
                        f"{uses} is not pinned by a commit",
                        "owner/name@<40 hex digits>",
                        job.name,
                    )


check = MAIL_GHA_001()
