import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from policies.families import ActionsRule
from policies.model import Found, Place, Severity
from policies.sources.gate_job import gate_steps, on_pull_requests, weaknesses
from policies.sources.repository import Repository

#: A recipe line that drops the exit code of what it runs.
SOFT = re.compile(r"^\t[@+]*-|\|\||;\s*(?:true|:|exit 0)\b|\|(?!\|)|&\s*$")
#: Settings of a Makefile that do so for all.
IGNORED = re.compile(
    r"^\.IGNORE\b|^(?:export\s+|override\s+)*(?:GNU)?MAKEFLAGS\s*[+:?]*=.*?(?:(?:^|[\s=])-\w*[inqt]\w*(?=\s|$)|--ignore-errors|--dry-run)"
)
CHECK = re.compile(
    r"^(?:export\s+|override\s+)*CHECK\s*[+:?]*=.*--(?:only|families|changed-since|explain|list|help)\b"
)
GATE = re.compile(r"\bpolicies(?:/__main__\.py)?\s+check\b")
LEFT_OUT = re.compile(r"--(?:only|families|changed-since|explain|list|help)\b")
TARGET = re.compile(r"^(?P<names>[\w.-][\w .-]*?)\s*::?(?!=)")
#: make reads these first.
BEFORE = ("GNUmakefile", "makefile")


class MAIL_GHA_011(ActionsRule):
    """A gate that is skipped, or whose failure counts for nothing, lets everything through and looks green.

    A path filter, a condition or `|| true` was meant for one afternoon; nobody sees afterwards that pull
    requests are no longer checked, for a skipped job counts as passed.
    """

    name = (
        "The gate runs on every pull request, and fails it: make check-report, alone and without conditions"
    )
    severity = Severity.CRITICAL
    fix = (
        "Run make check-report as a step of its own, on pull_request without filters, conditions and options"
    )
    bad = "steps:\n  - run: make check-report || true\n"
    good = "steps:\n  - run: make check-report\n"

    def subjects(self, repository: Repository) -> Iterable[Any]:
        """Return the repository: the gate may stand in any of its workflows."""
        return [repository]

    def check(self, subject: Any) -> Iterator[Found]:
        """Look for the workflow that runs the gate, and for what softens it; one hard run is enough."""
        workflows = [each for each in subject.workflows if not each.is_action]
        runs = [
            (workflow.file, job.name, list(weaknesses(workflow, job, number, step)))
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
        elif all(weak for *_, weak in runs):
            for _, job, weak in runs:
                for each in weak:
                    yield Found(each.place, each.what, each.should, job)
        yield from self._makefile(subject)

    def _makefile(self, repository: Repository) -> Iterator[Found]:
        """The targets themselves must end as the gate does."""
        for file in BEFORE if "Makefile" in repository.files else ():
            if file in repository.files:
                yield Found(Place(file), "make reads it in place of Makefile", "one Makefile", file)
        lines = repository.text("Makefile").splitlines() if "Makefile" in repository.files else []
        for number, line in enumerate(lines, 1):
            place = Place("Makefile", number)
            if IGNORED.search(line):
                yield Found(place, "failures are ignored", "no such setting", "Makefile")
            if CHECK.search(line):
                yield Found(place, "the gate is told to look at less", "no such setting", "Makefile")
            matched = TARGET.match(line)
            for name in sorted({"check", "check-report"} & set(matched["names"].split() if matched else ())):
                yield from self._recipe(name, number, lines)

    def _recipe(self, name: str, number: int, lines: list[str]) -> Iterator[Found]:
        recipe = list(takewhile(lambda each: each.startswith("\t"), lines[number:]))
        gates = [index for index, line in enumerate(recipe, number + 1) if GATE.search(line)]
        if not gates:
            what = f"{name} does not run the gate"
            yield Found(Place("Makefile", number), what, "python -m policies check", name)
        for index in gates:
            if SOFT.search(lines[index - 1]) or LEFT_OUT.search(lines[index - 1]):
                what = f"{name} ends well though the gate fails"
                yield Found(Place("Makefile", index), what, "the gate alone", name)


check = MAIL_GHA_011()
