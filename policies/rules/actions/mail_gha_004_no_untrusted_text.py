import re
from collections.abc import Iterator
from typing import Any

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.expressions import MATRIX, expressions, harmless, secret
from policies.sources.located import Map, dig, mapping, sequence, where
from policies.sources.workflow import Job, Workflow

#: Where text becomes code, or says where code is run.
CODE = (("run",), ("shell",), ("working-directory",))
#: Inputs of actions that are code, whatever the action calls them.
INPUT = re.compile(
    r"(?:script|command|cmd|^run|args|arguments|code|inline|entrypoint|pre|post)$", re.IGNORECASE
)
#: Commands that run a variable's text, or hand it to all later steps as settings.
RUNS = r"\b(?:eval|source|(?:ba|da|z|k)?sh\s+(?:-\S+\s+)*-\w*c)\b[^\n]*"
LATER = r"[^\n]*\bGITHUB_(?:ENV|PATH)\b"


class MAIL_GHA_004(ActionsRule):
    """An expression in a script is pasted into it before the shell reads it: a title `"; curl …` is code.

    Branch names, titles, comments and inputs come from strangers; a variable of the environment stays a text,
    unless it is run by eval or written to GITHUB_ENV.
    """

    name = 'No untrusted text in scripts: hand an expression over in env and write "$NAME"'
    severity = Severity.CRITICAL
    fix = 'Put the expression into env: and use "$NAME" in the script'
    bad = 'steps:\n  - run: echo "${{ github.event.pull_request.title }}"\n'
    good = 'steps:\n  - run: echo "$TITLE"\n    env:\n      TITLE: ${{ github.event.pull_request.title }}\n'

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every place where text becomes code."""
        yield from self._defaults(subject.data, "")
        for job in subject.jobs():
            yield from self._defaults(job.data, job.name)
            options = job.get("container", "options")
            if any(not self._harmless(each, job) for each in expressions(options)):
                at = job.where("container", "options")
                yield Found(
                    at, "an expression is pasted into the options of a container", "plain text", job.name
                )
            for step in job.steps():
                yield from self._step(step, job)
                yield from self._environment(step, job, subject)

    def _harmless(self, expression: str, job: Job) -> bool:
        if MATRIX.match(expression):
            matrix = str(job.get("strategy", "matrix"))
            return all(harmless(each) for each in expressions(matrix))
        return harmless(expression)

    def _defaults(self, data: Map, entity: str) -> Iterator[Found]:
        for name in ("shell", "working-directory"):
            for each in expressions(dig(data, "defaults", "run", name)):
                if not harmless(each):
                    at = where(data, "defaults", "run", name)
                    yield Found(at, f"{{{{ {each} }}}} says how scripts run", "plain text", entity)

    def _step(self, step: Map, job: Job) -> Iterator[Found]:
        inputs = [("with", name) for name in mapping(step.get("with")) if INPUT.search(str(name))]
        for path in (*CODE, *inputs):
            texts = [text for text in sequence(dig(step, *path)) if isinstance(text, str)]
            for each in (inner for text in texts for inner in expressions(text)):
                if not self._harmless(each, job) and not secret(each):
                    what = f"{{{{ {each} }}}} is pasted into a script"
                    yield Found(where(step, *path), what, "an environment variable", job.name)

    def _environment(self, step: Map, job: Job, workflow: Workflow) -> Iterator[Found]:
        """A variable with a stranger's text is harmless only as long as it stays one."""
        run = step.get("run")
        if not isinstance(run, str):
            return
        for env in (step.get("env"), job.get("env"), workflow.data.get("env")):
            for name, value in mapping(env).items():
                if self._stranger(value, job) and re.search(
                    rf"(?:{RUNS}\$\{{?{re.escape(str(name))}\b)|\$\{{?{re.escape(str(name))}\b{LATER}", run
                ):
                    what = f"{name} is run, or becomes a setting of later steps"
                    yield Found(where(step, "run"), what, "a check of what it holds first", job.name)

    def _stranger(self, value: Any, job: Job) -> bool:
        return any(not self._harmless(each, job) and not secret(each) for each in expressions(value))


check = MAIL_GHA_004()
