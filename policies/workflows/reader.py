"""GitHub workflows and composite actions as located data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from policies.model import Place
from policies.shared.located import List, Located, Map, dig, mapping, sequence, where
from policies.workflows.expressions import KNOWN

if TYPE_CHECKING:
    from policies.shared.repository import Repository

PATTERNS = (".github/workflows/*.yml", ".github/workflows/*.yaml")
#: An action may stand in any folder: a step names it with ./
ACTIONS = ("*/action.yml", "*/action.yaml", "action.yml", "action.yaml")
#: Types of inputs that are no free text.
NO_TEXT = ("boolean", "number", "choice", "environment")


@dataclass(frozen=True)
class Job(Located):
    """One job of a workflow; `data` may have any shape a file can have."""

    name: str
    data: Map
    place: Place

    def steps(self) -> Iterator[Map]:
        """Yield the steps; located.where(step, "run") tells where a part of one stands."""
        for step in sequence(self.data.get("steps")):
            if isinstance(step, Map):
                yield step


@dataclass
class Workflow:
    """One file. A composite action has one job called `runs`, whose steps are the action's."""

    file: str
    data: Map
    #: Where it stands: rules follow what its steps call.
    repository: Repository | None = field(default=None, repr=False, compare=False)

    @property
    def is_action(self) -> bool:
        """Whether this is an action rather than a workflow."""
        return "runs" in self.data and "jobs" not in self.data

    @property
    def triggers(self) -> dict[str, Any]:
        """What starts the workflow, by name."""
        on = self.data.get("on", self.data.get(True))
        return mapping(on) or {str(name): None for name in sequence(on)}

    @property
    def open_to_strangers(self) -> bool:
        """Whether somebody without the right to write can start it."""
        return not self.is_action and bool(self.started_by() - {*KNOWN["trusted"], "workflow_call"})

    def started_by(self) -> set[str]:
        """Return the names of the triggers, in the one way in which tables write them."""
        return {str(name).strip().lower() for name in self.triggers}

    def plain_inputs(self) -> set[str]:
        """Return the inputs that hold no free text: a switch, a number, or one of a list."""
        given = [mapping(dig(settings, "inputs")) for settings in self.triggers.values()]
        names = {name for inputs in given for name in inputs}
        types = {name: {dig(each[name], "type") for each in given if name in each} for name in names}
        return {str(name) for name, said in types.items() if said <= {*NO_TEXT}}

    def jobs(self) -> Iterator[Job]:
        """Yield the jobs."""
        if self.is_action and isinstance(self.data["runs"], Map):
            yield Job("runs", self.data["runs"], self.data.places["runs"])
        for name, data in mapping(self.data.get("jobs")).items():
            if isinstance(data, Map):
                yield Job(str(name), data, where(self.data, "jobs", name))

    def where(self, *path: Any) -> Place:
        """Return the place of a value of the file."""
        return where(self.data, *path)


def _odd(workflow: Workflow) -> Iterator[tuple[Place, str]]:
    """Yield what no rule could look into, since it has not the shape that GitHub demands."""
    jobs = workflow.data.get("jobs")
    if jobs is not None and not isinstance(jobs, Map):
        yield workflow.where("jobs"), "jobs is a mapping from names to jobs"
    for name, job in mapping(jobs).items():
        if not isinstance(job, Map):
            yield workflow.where("jobs", name), "a job is a mapping"
    for job in workflow.jobs():
        steps = job.data.get("steps")
        if steps is not None and not (
            isinstance(steps, List) and all(isinstance(each, Map) for each in steps)
        ):
            yield job.where("steps"), "steps is a list of mappings"


def workflows(repository: Repository) -> list[Workflow]:
    """Return every workflow and action; one that is no mapping is a problem."""
    found = []
    for file in repository.matching(*PATTERNS, *ACTIONS):
        before = len(repository.problems)
        documents = repository.yaml(file)
        for document in documents:
            if isinstance(document, Map):
                found.append(Workflow(file, document, repository))
                for place, should in _odd(found[-1]):
                    repository.problem("unreadable", place, "it has not the shape of a workflow", should)
            else:
                what = "a workflow is a mapping"
                repository.problem("unreadable", Place(file), what, "write on: and jobs:")
        if not documents and len(repository.problems) == before:
            fix = "write on: and jobs:, or remove it"
            repository.problem("unreadable", Place(file), "an empty workflow", fix)
    return found
