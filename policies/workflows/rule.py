"""Rules about GitHub workflows and composite actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from checkov.common.models.enums import CheckResult
from checkov.github_actions.checks.base_github_action_check import BaseGithubActionsCheck
from checkov.yaml_doc.enums import BlockType

from policies.model import Found
from policies.shared.entrance import CheckovEntrance
from policies.shared.repository import Repository
from policies.workflows.reader import Workflow

LINES = ("__startline__", "__endline__")


class ActionsRule(BaseGithubActionsCheck, CheckovEntrance):
    """Sees one workflow at a time (policies/workflows/reader.py)."""

    family = "actions"
    language = "yaml"

    def __init__(self) -> None:
        BaseGithubActionsCheck.__init__(
            self, name=self.name, id=self.rule_id, supported_entities=["*"], block_type=BlockType.OBJECT
        )
        self.block_type = "document"

    def subjects(self, repository: Repository) -> Iterable[Workflow]:
        """Return every workflow and composite action."""
        return repository.workflows

    def check(self, subject: Workflow) -> Iterator[Found]:
        """Yield the breaches of one workflow."""
        raise NotImplementedError

    def scan_conf(self, conf: Any) -> tuple[CheckResult, Any]:
        """Answer checkov about one workflow, narrowed to the line of the first breach."""
        for found in self.breaches(0, 1 << 30):
            return CheckResult.FAILED, dict.fromkeys(LINES, found.place.line)
        return CheckResult.PASSED, conf
