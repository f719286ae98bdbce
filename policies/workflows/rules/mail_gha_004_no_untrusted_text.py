import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import Map, dig, mapping, sequence, where
from policies.shared.tables import table
from policies.workflows.expressions import MATRIX, expressions, foreign, harmless, secret
from policies.workflows.reader import Job, Workflow
from policies.workflows.rule import ActionsRule
from policies.workflows.untrusted import reasons

#: Where text becomes code, or says where code is run.
CODE = (("run",), ("shell",), ("working-directory",))
#: Inputs of actions that are code, whatever the action calls them.
INPUT = re.compile(
    r"(?:script|command|cmd|^run|args|arguments|code|inline|entrypoint|pre|post)$", re.IGNORECASE
)


class MAIL_GHA_004(ActionsRule):
    """An expression in a script is pasted into it before the shell reads it: a title `"; curl …` is code.

    Branch names, titles, comments and inputs come from strangers; a variable of the environment stays a text,
    unless a shell, Python, make or awk gets it as code, here or in a script or target that is called, or it
    becomes a setting of later steps.
    """

    name = 'No untrusted text in scripts: hand an expression over in env and write "$NAME"'
    severity = Severity.CRITICAL
    fix = 'Put the expression into env: and use "$NAME" in the script'
    bad = 'steps:\n  - run: echo "${{ github.event.pull_request.title }}"\n'
    good = 'steps:\n  - run: echo "$TITLE"\n    env:\n      TITLE: ${{ github.event.pull_request.title }}\n'

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at every place where text becomes code."""
        yield from self._defaults(subject.data, "")
        yield from self._settings(subject.data, "")
        for job in subject.jobs():
            yield from self._defaults(job.data, job.name)
            yield from self._settings(job.data, job.name)
            for path in (("container",), *(("services", name) for name in mapping(job.get("services")))):
                options = job.get(*path, "options")
                if any(not self._harmless(each, job, subject) for each in expressions(options)):
                    what = "an expression is pasted into the options of a container"
                    yield Found(job.where(*path, "options"), what, "plain text", job.name)
            for step in job.steps():
                yield from self._settings(step, job.name)
                yield from self._step(step, job, subject)
                yield from self._environment(step, job, subject)

    def _harmless(self, expression: str, job: Job, workflow: Workflow) -> bool:
        matrix = str(job.get("strategy", "matrix")) if MATRIX.search(expression) else ""
        inputs = workflow.plain_inputs()
        return all(harmless(each, inputs) for each in (expression, *expressions(matrix)))

    def _defaults(self, data: Map, entity: str) -> Iterator[Found]:
        for name in ("shell", "working-directory"):
            for each in expressions(dig(data, "defaults", "run", name)):
                if not harmless(each):
                    at = where(data, "defaults", "run", name)
                    yield Found(at, f"{{{{ {each} }}}} says how scripts run", "plain text", entity)

    def _step(self, step: Map, job: Job, workflow: Workflow) -> Iterator[Found]:
        inputs = [("with", name) for name in mapping(step.get("with")) if INPUT.search(str(name))]
        for path in (*CODE, *inputs):
            texts = [text for text in sequence(dig(step, *path)) if isinstance(text, str)]
            for each in (inner for text in texts for inner in expressions(text)):
                if not self._harmless(each, job, workflow) and not secret(each):
                    what = f"{{{{ {each} }}}} is pasted into a script"
                    yield Found(where(step, *path), what, "an environment variable", job.name)

    def _settings(self, data: Map, entity: str) -> Iterator[Found]:
        """Some variables say which programs run; whoever writes them needs no script."""
        for name, value in mapping(data.get("env")).items():
            if str(name).upper() in table("untrusted")["settings_that_run"] and foreign(value):
                what = f"a stranger's text as {name} says what is run"
                yield Found(where(data, "env", name), what, "plain text", entity)

    def _environment(self, step: Map, job: Job, workflow: Workflow) -> Iterator[Found]:
        """A variable with a stranger's text is harmless only as long as it stays one."""
        inputs = workflow.plain_inputs()
        matrix = foreign(str(job.get("strategy", "matrix")), inputs)
        names = {
            str(name)
            for data in (workflow.data, job.data, step)
            for name, value in mapping(data.get("env")).items()
            if foreign(value, inputs) or (matrix and MATRIX.search(str(value)))
        }
        for path, reason in reasons(step, job, workflow, names):
            what = f"a stranger's text in a variable: {reason}"
            yield Found(where(step, *path), what, "a check of what it holds first", job.name)


check = MAIL_GHA_004()
