from collections.abc import Iterator

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.expressions import expressions, harmless, secret
from policies.sources.located import Map, dig, where
from policies.sources.workflow import Workflow

#: Where text becomes code.
CODE = (("run",), ("shell",), ("with", "script"), ("with", "run"), ("with", "args"), ("with", "command"))


class MAIL_GHA_004(ActionsRule):
    """An expression in a script is pasted into it before the shell reads it: a title `"; curl …` is code.

    Branch names, titles, comments and inputs come from strangers; a variable of the environment stays a text.
    """

    name = 'No untrusted text in scripts: hand an expression over in env and write "$NAME"'
    severity = Severity.CRITICAL
    fix = 'Put the expression into env: and use "$NAME" in the script'
    bad = 'steps:\n  - run: echo "${{ github.event.pull_request.title }}"\n'
    good = 'steps:\n  - run: echo "$TITLE"\n    env:\n      TITLE: ${{ github.event.pull_request.title }}\n'

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every place where text becomes code."""
        for job in subject.jobs():
            for step in job.steps():
                yield from self._step(step, job.name)

    def _step(self, step: Map, entity: str) -> Iterator[Found]:
        for path in CODE:
            for each in expressions(dig(step, *path)):
                if not harmless(each) and not secret(each):
                    what = f"{{{{ {each} }}}} is pasted into a script"
                    yield Found(where(step, *path), what, "an environment variable", entity)


check = MAIL_GHA_004()
