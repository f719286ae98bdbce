"""How wrong input is answered: the field, its value, what is wrong and what to use instead."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Problem:
    """One wrong input. `wrong` and `instead` are English templates, filled from `values` when shown.

    Web pages translate the templates before they fill them in, so nothing may be formatted into them.
    `value` is what was entered; leave it empty for passwords.
    """

    field: str
    value: str
    wrong: str
    instead: str
    values: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        shown = f" {self.value!r}" if self.value else ""
        return f"{self.field}{shown}: {self.wrong.format(**self.values)} {self.instead.format(**self.values)}"


class Refused(Exception):
    """The request changes nothing, for all of these reasons."""

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Missing(Refused):
    """What should be changed is not there (any more)."""


class Conflict(Refused):
    """Somebody else changed it meanwhile."""


class Taken(Refused):
    """What should be added is there already."""


class InUse(Refused):
    """Something else needs it as it is."""


wrong, instead = "Somebody else changed this meanwhile.", "Look at it again, then make your change."
CHANGED_MEANWHILE = (wrong, instead)


class Collector:
    """Gathers problems from several checks so that all of them are answered at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._kinds: set[type[Refused]] = set()

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        """Swallow a refusal and remember it."""
        if isinstance(error, Refused):
            self.problems.extend(error.problems)
            self._kinds.add(type(error))
            return True
        return False

    def check(self) -> None:
        """Refuse if anything was gathered: as what all of it is, if that is one kind."""
        if self.problems:
            kind = next(iter(self._kinds)) if len(self._kinds) == 1 else Refused
            raise kind(self.problems)
