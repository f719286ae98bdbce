"""Rules about the services' own configuration files, for which checkov has no runner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.config.reader import Configuration
from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule


class ConfigurationRule(Rule):
    """Sees all configuration files of a repository, parsed (policies/config/reader.py)."""

    family = "configuration"
    language = "ini"

    def subjects(self, repository: Repository) -> Iterable[Configuration]:
        """Return the one configuration there is."""
        return [repository.configuration]

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Yield every breach."""
        raise NotImplementedError
