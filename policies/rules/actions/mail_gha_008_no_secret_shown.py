import re
from collections.abc import Iterator

from policies.families import ActionsRule
from policies.model import Found, Severity
from policies.sources.expressions import expressions, holds_secret, secret, secret_names
from policies.sources.located import Map, dig, mapping, where
from policies.sources.workflow import Job, Workflow

SHOWS = re.compile(r"\b(?:echo|printf|tee|base64|xxd|od|rev)\b|<<<")
#: set -x, set -ex, set -o xtrace, bash -x: every command is printed with its values.
TRACES = re.compile(r"\bset\s+-(?:[a-z]*x|o\s+xtrace)|\b(?:ba|da|z|k)?sh\s+-[a-z]*x\b")
DUMPS = re.compile(r"(?:^|[;&|]\s*)(?:env|printenv|export\s+-p|set)\s*(?:$|[;&|>])", re.MULTILINE)
CODE = (("run",), ("with", "script"))


class MAIL_GHA_008(ActionsRule):
    """GitHub hides a secret in the log only while nobody changes it: in base64 or cut in two it is shown.

    A secret in the environment of the whole workflow is also given to every action that somebody else wrote.
    """

    name = (
        "No secret shown: secrets only in the env or with of the step that needs them, never echoed or traced"
    )
    severity = Severity.CRITICAL
    fix = "Give the secret in the env of one step, to a program that reads it from there; print nothing of it"
    bad = "steps:\n  - run: echo ${{ secrets.TOKEN }} | base64\n"
    good = "steps:\n  - run: make comment\n    env:\n      GH_TOKEN: ${{ github.token }}\n"

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Look at the environments, at scripts and at what called workflows inherit."""
        yield from self._environment(subject.data, "")
        for job in subject.jobs():
            if not subject.is_action:
                yield from self._environment(job.data, job.name)
            if job.get("secrets") == "inherit":
                yield Found(job.where("secrets"), "it gets every secret", "secrets one by one", job.name)
            for step in job.steps():
                yield from self._step(step, job)

    def _environment(self, data: Map, entity: str) -> Iterator[Found]:
        for name in secret_names(data.get("env")):
            what = f"{name} holds a secret for every step"
            yield Found(where(data, "env", name), what, "the env of one step", entity)

    def _step(self, step: Map, job: Job) -> Iterator[Found]:
        for path in CODE:
            if any(secret(each) for each in expressions(dig(step, *path))):
                yield Found(where(step, *path), "a secret is pasted into a script", "env", job.name)
        for values in (step.get("env"), step.get("with")):
            for name, value in mapping(values).items():
                if "tojson(secrets)" in "".join(str(value).lower().split()):
                    yield Found(where(values, name), "every secret is handed over", "one secret", job.name)
        run, names = step.get("run"), secret_names(step.get("env"))
        if isinstance(run, str) and names and not holds_secret(run):
            yield from self._script(run, names, step, job)

    def _script(self, run: str, names: set[str], step: Map, job: Job) -> Iterator[Found]:
        place = where(step, "run")
        if TRACES.search(run) or DUMPS.search(run) or TRACES.search(str(step.get("shell") or "")):
            yield Found(place, "commands are printed with their values", "no tracing", job.name)
        for name in sorted(names):
            used = re.compile(rf"\$\{{?{re.escape(name)}\b")
            if any(used.search(line) and SHOWS.search(line) for line in run.splitlines()):
                yield Found(place, f"{name} is printed", "a program that reads it", job.name)


check = MAIL_GHA_008()
