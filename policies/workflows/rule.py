"""Rules about GitHub workflows and composite actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule
from policies.workflows.reader import Workflow


class WorkflowRule(Rule):
    """Sees one workflow at a time (policies/workflows/reader.py)."""

    family = "actions"
    language = "yaml"

    def subjects(self, repository: Repository) -> Iterable[Workflow]:
        """Return every workflow and composite action."""
        return repository.workflows

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Yield the breaches of one workflow."""
        raise NotImplementedError
