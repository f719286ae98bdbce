"""The door through which plain checkov runs our rules: see plain_checkov/mail_rules.py.

The gate calls `check` directly and gets every breach with its line; checkov asks once an entity (a service, a
resource, a file) and gets one verdict. Both see the same resolved data, since the door opens the file itself.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from policies.model import Finding
from policies.shared.repository import Repository
from policies.shared.rule import Rule


@lru_cache(maxsize=4)
def _repository(root: Path) -> Repository:
    return Repository(root)


class CheckovEntrance(Rule):
    """What the four families share that checkov has a runner for."""

    #: checkov sets it to "file:type:name" before each question.
    entity_path: str

    def breaches(self, first: int, last: int) -> list[Finding]:
        """Return the breaches in the entity that checkov asks about, which stands on these lines."""
        named, _, name = self.entity_path.split(":", 2)
        file = self._file(named)
        here = [found for found in self._all(Path.cwd()) if found.place.file == file]
        return [found for found in here if found.entity == name or first <= found.place.line <= last]

    def _file(self, named: str) -> str:
        """Return a file relative to the repository: checkov's runners name it in three ways."""
        root = Path.cwd()
        for path in (root / named, root / named.lstrip("/")):
            if path.is_file() and path.resolve().is_relative_to(root):
                return path.resolve().relative_to(root).as_posix()
        raise FileNotFoundError(f"{named}: run checkov from the repository's root, with -d .")

    def _all(self, root: Path) -> list[Finding]:
        known = self.__dict__.setdefault("_known", {})
        if root not in known:
            known[root] = list(self.findings(_repository(root)))
        return known[root]
