"""Rules about the services' own configuration files, for which checkov has no runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.rule import Rule
from policies.sources.configuration import Configuration
from policies.sources.repository import Repository


class ConfigurationRule(Rule):
    """Sees all configuration files of a repository, parsed (policies/sources/configuration.py)."""

    family = "configuration"
    language = "ini"

    def subjects(self, repository: Repository) -> Iterable[Configuration]:
        """Return the one configuration there is."""
        return [repository.configuration]

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Yield every breach."""
        raise NotImplementedError
