"""Rules about Compose projects: `check_service` for one service, or `check` for the whole project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.yaml_doc.base_yaml_check import BaseYamlCheck
from checkov.yaml_doc.enums import BlockType

from policies.compose.project import Project, Service
from policies.model import Found
from policies.shared.entrance import CheckovEntrance
from policies.shared.repository import Repository

LINES = ("__startline__", "__endline__")


class ComposeRule(BaseYamlCheck, CheckovEntrance):
    """Sees projects as they would run (policies/compose/project.py); checkov's YAML runner asks once a
    service.
    """

    family = "compose"
    language = "yaml"

    def __init__(self) -> None:
        BaseYamlCheck.__init__(
            self,
            name=self.name,
            id=self.rule_id,
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_entities=["services"],
            block_type=BlockType.ARRAY,
        )

    def subjects(self, repository: Repository) -> Iterable[Project]:
        """Return every project."""
        return repository.compose

    def check(self, subject: Project) -> Iterator[Found]:
        """Yield the breaches of each service."""
        for service in subject.services.values():
            yield from self.check_service(service)

    def check_service(self, service: Service) -> Iterator[Found]:
        """Yield the breaches of one service."""
        raise NotImplementedError

    def scan_entity_conf(self, conf: Any, entity_type: str) -> tuple[CheckResult, Any]:
        """Answer checkov about one service, narrowed to the line of the first breach."""
        first, last = (conf.get(line, 0) for line in LINES) if isinstance(conf, dict) else (0, 0)
        for found in self.breaches(first, last):
            return CheckResult.FAILED, dict.fromkeys(LINES, found.place.line)
        return CheckResult.PASSED, conf
