"""Rules about Compose projects: `check_service` for one service, or `check` for the whole project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.compose.project import Project, Service
from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule


class ComposeRule(Rule):
    """Sees projects as they would run (policies/compose/project.py)."""

    family = "compose"
    language = "yaml"

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
