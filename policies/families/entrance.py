"""The door through which plain checkov runs our rules: checkov -d . --external-checks-dir policies/rules.

The gate calls `check` directly and gets every breach with its line; checkov asks once an entity (a service, a
resource, a file) and gets one verdict. Both see the same resolved data, since the door opens the file itself.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from policies.model import Finding
from policies.rule import Rule
from policies.sources.repository import Repository


@lru_cache(maxsize=4)
def _repository(root: Path) -> Repository:
    return Repository(root)


class CheckovEntrance(Rule):
    """What the four families share that checkov has a runner for."""

    #: checkov sets it to "file:type:name" before each question.
    entity_path: str

    def breaches(self, first: int, last: int) -> list[Finding]:
        """Return the breaches in the entity that checkov asks about, which stands on these lines."""
        file, _, name = self.entity_path.split(":", 2)
        file = file.lstrip("/")
        if not (Path.cwd() / file).is_file():
            raise FileNotFoundError(f"{file}: run checkov from the repository's root, with -d .")
        here = [found for found in self._all(Path.cwd()) if found.place.file == file]
        return [found for found in here if found.entity == name or first <= found.place.line <= last]

    def _all(self, root: Path) -> list[Finding]:
        known = self.__dict__.setdefault("_known", {})
        if root not in known:
            known[root] = list(self.findings(_repository(root)))
        return known[root]
