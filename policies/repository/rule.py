"""Rules about the repository itself: its files, their modes, its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule


class RepositoryRule(Rule):
    """Sees the repository (policies/shared/repository.py)."""

    family = "repository"
    language = "text"

    def subjects(self, repository: Repository) -> Iterable[Repository]:
        """Return the repository."""
        return [repository]

    def check(self, subject: Repository) -> Iterator[Found]:
        """Yield every breach."""
        raise NotImplementedError
