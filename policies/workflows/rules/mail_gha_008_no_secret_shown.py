import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from policies.model import Found, Place, Severity
from policies.shared.located import Map, dig, mapping, where
from policies.workflows import shown
from policies.workflows.called import everything
from policies.workflows.expressions import expressions, holds_secret, secret, secret_names
from policies.workflows.reader import Job, Workflow
from policies.workflows.rule import ActionsRule
from policies.workflows.shown_files import covers, kept_as

CODE = (("run",), ("with", "script"))
#: Actions that keep files after the run.
KEPT = re.compile(r"actions/(?:upload-artifact|upload-pages-artifact|cache)(?:/save)?@")
SHELL = ("defaults", "run", "shell")


def _squeezed(value: Any) -> str:
    return "".join(str(value).lower().split())


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
        if not subject.is_action:
            yield from self._environment(subject.data, "")
        for job in subject.jobs():
            if not subject.is_action:
                yield from self._job(job)
            yield from self._uploads(job)
            inherited = job.get("secrets")
            if isinstance(inherited, str) and inherited.strip().lower() == "inherit":
                yield Found(job.where("secrets"), "it gets every secret", "secrets one by one", job.name)
            for step in job.steps():
                yield from self._step(step, job, subject)

    def _environment(self, data: Map, entity: str) -> Iterator[Found]:
        for name in secret_names(data.get("env")):
            what = f"{name} holds a secret for every step"
            yield Found(where(data, "env", name), what, "the env of one step", entity)

    def _job(self, job: Job) -> Iterator[Found]:
        yield from self._environment(job.data, job.name)
        containers = [("container",), *(("services", name) for name in mapping(job.get("services")))]
        for path in containers:
            for name in secret_names(job.get(*path, "env")):
                what = f"{name} holds a secret for every step"
                yield Found(job.where(*path, "env", name), what, "the env of one step", job.name)
        for name, value in mapping(job.get("outputs")).items():
            if holds_secret(value):
                what = f"the output {name} is a secret"
                yield Found(job.where("outputs", name), what, "the secret itself, in that job", job.name)

    def _step(self, step: Map, job: Job, workflow: Workflow) -> Iterator[Found]:
        for path in CODE:
            if any(secret(each) for each in expressions(dig(step, *path))):
                yield Found(where(step, *path), "a secret is pasted into a script", "env", job.name)
        for values in (step.get("env"), step.get("with")):
            for name, value in mapping(values).items():
                if "tojson(secrets)" in _squeezed(value):
                    yield Found(where(values, name), "every secret is handed over", "one secret", job.name)
                elif any(
                    "secrets[" in each and "secrets['" not in each
                    for each in map(_squeezed, expressions(value))
                ):
                    what = "which secret it is shows only when it runs"
                    yield Found(where(values, name), what, "secrets.NAME", job.name)
        names = secret_names(step.get("env"))
        for path in CODE:
            script = dig(step, *path)
            if isinstance(script, str) and names and not holds_secret(script):
                yield from self._script(
                    script, names, where(step, *path), job, self._shell(step, job, workflow)
                )
                if path == ("run",) and workflow.repository:
                    yield from self._called(script, names, where(step, *path), job, workflow)

    def _shell(self, step: Map, job: Job, workflow: Workflow) -> str:
        shells = (step.get("shell"), job.get(*SHELL), dig(workflow.data, *SHELL))
        return next((str(each) for each in shells if each), "")

    def _script(self, script: str, names: set[str], place: Place, job: Job, shell: str) -> Iterator[Found]:
        if shown.dumps(script) or shown.TRACES.search(shell):
            yield Found(place, "commands or variables are printed with their values", "no tracing", job.name)
        for name in shown.printed(script, names):
            yield Found(place, f"{name} is printed", "a program that reads it", job.name)

    def _called(
        self, script: str, names: set[str], place: Place, job: Job, workflow: Workflow
    ) -> Iterator[Found]:
        """Scripts and targets of this repository have the step's environment as well."""
        for called in islice(everything(script, workflow.repository), 1, None):
            if called.shell and shown.dumps(called.text):
                what = f"{called.name} prints commands or variables with their values"
                yield Found(place, what, "no tracing", job.name)
            for name in shown.printed(called.text, names) if called.shell else ():
                yield Found(place, f"{called.name} prints {name}", "a program that reads it", job.name)
            if not called.shell and any(map(shown.CODE.search, called.text.splitlines())):
                yield Found(place, f"{called.name} prints variables", "a program that keeps them", job.name)

    def _uploads(self, job: Job) -> Iterator[Found]:
        """What is kept after the run can be fetched by everybody who reads the repository."""
        written: set[str] = set()
        for step in job.steps():
            names, script = secret_names(step.get("env")), step.get("run")
            if isinstance(script, str) and names:
                written |= {kept_as(file) for file in shown.files(script, names)}
            if not KEPT.match(str(step.get("uses") or "").lower()):
                continue
            for path in str(dig(step, "with", "path") or "").splitlines():
                for file in sorted(written):
                    if covers(kept_as(path), file):
                        what = f"{file} holds a secret and is kept after the run"
                        yield Found(where(step, "with", "path"), what, "no secret in it", job.name)


check = MAIL_GHA_008()
