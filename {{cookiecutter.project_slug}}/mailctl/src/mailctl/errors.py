"""The one way mailctl refuses: what is wrong with which field, how to fix it and what to do next."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong. `value` is shown to the user, so a secret's value must never be put there."""

    field: str
    wrong: str
    fix: str
    value: str | None = None
    next: str | None = None

    def as_dict(self) -> dict[str, str]:
        return {key: text for key, text in asdict(self).items() if text is not None}


class Refused(Exception):
    """Nothing was done, or what was begun failed; exit code 1."""

    exit_code = 1

    def __init__(self, *problems: Problem, details: str | None = None) -> None:
        super().__init__("; ".join(f"{p.field}: {p.wrong}" for p in problems))
        self.problems = problems
        self.details = details


class Misuse(Refused):
    """The command was called in a way or place that cannot work; exit code 2."""

    exit_code = 2
