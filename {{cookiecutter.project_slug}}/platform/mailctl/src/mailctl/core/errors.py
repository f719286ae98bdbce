"""The one way mailctl refuses: what is wrong with which field, how to fix it, what comes next."""

import errno
from dataclasses import asdict, dataclass

DONE, FAILED, MISUSE = 0, 1, 2

# What to do about a file or disk that the system refuses, by its error number.
_REMEDIES = {
    errno.EACCES: "run it as the user who owns that, or with sudo",
    errno.EPERM: "run it as the user who owns that, or with sudo",
    errno.ENOSPC: "make room on that disk: docs/how-do-i.md",
    errno.EDQUOT: "make room on that disk: docs/how-do-i.md",
    errno.EROFS: "mount that disk writable; the kernel's log says whether it is failing: dmesg",
    errno.EIO: "look after that disk: dmesg says whether it is failing",
}


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

    exit_code = FAILED

    def __init__(self, *problems: Problem, details: str | None = None) -> None:
        super().__init__("; ".join(f"{p.field}: {p.wrong}" for p in problems))
        self.problems = problems
        self.details = details


class Misuse(Refused):
    """The command was called in a way or place that cannot work; exit code 2."""

    exit_code = MISUSE


def of_system(error: OSError) -> Refused:
    """What the system refused, in its own words, and of which file."""
    remedy = _REMEDIES.get(error.errno or 0, "fix that, then run the same command again")
    place = str(error.filename) if error.filename else None
    return Refused(Problem("file" if place else "system", error.strerror or str(error), remedy, value=place))
