import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import dig, where
from policies.workflows.expressions import secret_names
from policies.workflows.reader import Workflow
from policies.workflows.rule import ActionsRule

#: Settings of git that hold a token, and the ways to write them.
SETTING = (
    r"(?:\bgit\s(?:[^\n;&|]*\s)?config\b[^\n;|]*(?:extraheader|insteadof|credential|password|url\.)[^\n;|]*|"
    r"\bgit\s[^\n;&|]*remote\s+set-url\b[^\n;|]*)"
)


class MAIL_GHA_009(ActionsRule):
    """actions/checkout writes the token of the run into .git/config, where every later step can read it.

    An uploaded artifact, an image build or a test of a pull request takes it along.
    """

    name = "Checkout leaves no token: with: { persist-credentials: false }"
    severity = Severity.MEDIUM
    fix = "Add persist-credentials: false to actions/checkout"
    bad = "steps:\n  - uses: actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10\n"
    good = bad + "    with:\n      persist-credentials: false\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every checkout."""
        for job in subject.jobs():
            for step in job.steps():
                name = str(step.get("uses") or "").partition("@")[0].strip("/ ").lower()
                kept = dig(step, "with", "persist-credentials")
                if name == "actions/checkout" and str(kept).strip().lower() != "false":
                    place = (
                        where(step, "with", "persist-credentials")
                        if kept is not None
                        else where(step, "uses")
                    )
                    yield Found(
                        place, "the token stays in .git/config", "persist-credentials: false", job.name
                    )
                for name in sorted(secret_names(step.get("env"))):
                    if re.search(rf"{SETTING}\$\{{?{re.escape(name)}\b", str(step.get("run") or "")):
                        what = f"{name} stays in git's settings for later steps"
                        yield Found(where(step, "run"), what, "the token in this step only", job.name)


check = MAIL_GHA_009()
