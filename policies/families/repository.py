"""Rules about the repository itself: its files, their modes, its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.rule import Rule
from policies.sources.repository import Repository


class RepositoryRule(Rule):
    """Sees the repository (policies/sources/repository.py)."""

    family = "repository"
    language = "text"

    def subjects(self, repository: Repository) -> Iterable[Repository]:
        """Return the repository."""
        return [repository]

    def check(self, subject: Repository) -> Iterator[Found]:
        """Yield every breach."""
        raise NotImplementedError
