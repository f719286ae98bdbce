"""One repository as the rules see it: its files, and each kind of file as data, read once."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatch, translate
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from policies.model import Place, Problem
from policies.shared import located
from policies.shared.policy import FILE as POLICY
from policies.shared.policy import Policy, policy

#: Larger than any text that people write, and too large to be looked through line by line.
MOST_BYTES = 5 * 1024 * 1024
#: What may be larger: only its beginning is searched.
PICTURES = ("*.png", "*.jpg", "*.jpeg", "*.gif", "*.webp", "*.ico", "*.pdf", "*.woff2")
#: Folders that hold what tools made, in repositories that git does not know.
MADE = (".git", ".venv*", "node_modules", "__pycache__", ".terraform", ".*_cache")


def is_git(root: Path) -> bool:
    """Tell whether a folder is the top of a git repository."""
    return (root / ".git").exists()


def is_made(path: str) -> bool:
    """Tell whether a path lies in a folder that tools make."""
    return any(fnmatch(part, made) for part in path.split("/") for made in MADE)


@lru_cache(maxsize=256)
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one expression for several patterns of the shell: rules ask for files hundreds of times."""
    return re.compile("|".join(map(translate, patterns)) or r"(?!)")


class Repository:
    """A folder to judge. `seen` collects the files that were read as data, `problems` what could not be.

    `changes` are texts that stand in for those on disk (None: the file is gone), so that many versions of one
    repository can be judged without writing them; `modes` says which files shall count as executable or not.
    """

    #: What reads each kind of file; policies/readers.py fills it, since this module knows no kind.
    readers: ClassVar[dict[str, Callable[[Repository], Any]]] = {}

    def __init__(
        self,
        root: Path,
        changes: Mapping[str, str | None] | None = None,
        modes: Mapping[str, bool] | None = None,
    ) -> None:
        self.root = root.resolve()
        self.changes, self.modes = dict(changes or {}), dict(modes or {})
        self.seen: set[str] = set()
        #: The file that was asked for last: where a rule was when it was stopped.
        self.last = ""
        self._problems: dict[tuple[str, Place, str], Problem] = {}
        self._texts: dict[str, str] = {}

    # ---- files

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Every file that git tracks or would add, or every file there is if it is no git repository."""
        found = set(self._git_files() or self._walked()) | set(self.changes)
        return tuple(sorted(file for file in found if self.changes.get(file, "") is not None))

    def _git_files(self) -> list[str]:
        git = ["git", "-C", str(self.root)]
        command = [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        top = [*git, "rev-parse", "--show-prefix"]
        try:
            prefix = subprocess.run(top, capture_output=True, check=True)
            if prefix.stdout.strip():
                return []  # a folder inside somebody else's repository
            listed = subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return []
        names = {os.fsdecode(name) for name in listed.stdout.split(b"\0") if name}
        return [name for name in names if (self.root / name).is_file()]

    def _walked(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if not is_made(name)]
            for name in names:
                path = Path(folder, name)
                if path.is_file():
                    yield path.relative_to(self.root).as_posix()

    def matching(self, *patterns: str) -> list[str]:
        """Return the files whose path matches one of the patterns; `*` also matches slashes."""
        fits = _any_of(patterns).match
        return [file for file in self.files if fits(file)]

    def has(self, file: str) -> bool:
        """Tell whether there is such a file, tracked or not."""
        return self.changes[file] is not None if file in self.changes else (self.root / file).is_file()

    def executable(self, file: str) -> bool:
        """Tell whether a file's owner may execute it."""
        if file in self.modes:
            return self.modes[file]
        path = self.root / file
        return path.is_file() and bool(path.stat().st_mode & 0o100)

    def text(self, file: str) -> str:
        """Return a file's text; what is no UTF-8 stays as escapes, so that no byte blinds a rule.

        A file that is too large, or that nobody may read, is a problem and has no text; a link out of the
        repository has none either (policies/gate/hidden.py names it).
        """
        self.last = file
        if (changed := self.changes.get(file)) is not None:
            return changed
        if file not in self._texts:
            self._texts[file] = self._read(file)
        return self._texts[file]

    def _read(self, file: str) -> str:
        path = self.root / file
        if path.is_symlink() and not path.resolve().is_relative_to(self.root):
            return ""
        with path.open("rb") as opened:
            start = opened.read(MOST_BYTES + 1)
        # A NUL is in every picture, and in no text.
        picture = _any_of(PICTURES).match(file.lower()) and b"\0" in start
        if len(start) > MOST_BYTES and not picture:
            what = f"it was not looked at: it is larger than {MOST_BYTES >> 20} MiB"
            self.problem("not-looked-at", Place(file), what, "make it smaller, or keep it out of git")
            return ""
        text = start[:MOST_BYTES].decode("utf-8-sig", "backslashreplace")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def relative(self, path: Path) -> str:
        """Return a path inside the repository as the rules write it; one outside stays absolute."""
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    # ---- data

    def problem(self, kind: str, place: Place, what: str, fix: str, row: str = "") -> None:
        """Note once that something could not be judged; `row` is the row of policy.yml that settles it."""
        self._problems.setdefault((kind, place, what), Problem(kind, place, what, fix, row))

    @property
    def problems(self) -> list[Problem]:
        """Everything that could not be judged so far."""
        return list(self._problems.values())

    def yaml(self, file: str) -> list[Any]:
        """Return all documents of a YAML file; one that cannot be read is a problem and has none."""
        self.seen.add(file)
        try:
            return list(located.documents(self.text(file), file))
        except located.Unreadable as error:
            self.problem("unreadable", error.place, str(error), "write it as valid YAML")
        except OSError as error:
            self.problem("unreadable", Place(file), str(error), "make it a readable file")
        return []

    # ---- data: policies/readers.py says what reads each kind

    @cached_property
    def policy(self) -> Policy:
        """What the operator decided: policy.yml, or nothing special where there is none."""
        return policy(self.text(POLICY) if self.has(POLICY) else "")

    @cached_property
    def compose(self) -> list[Any]:
        """Every Compose project, resolved."""
        return self.readers["compose"](self)

    @cached_property
    def dockerfiles(self) -> list[Any]:
        """Every Dockerfile, as instructions."""
        return self.readers["dockerfiles"](self)

    @cached_property
    def workflows(self) -> list[Any]:
        """Every GitHub workflow and composite action."""
        return self.readers["workflows"](self)

    @cached_property
    def modules(self) -> list[Any]:
        """Every folder with Terraform files, with expressions evaluated as far as they are known."""
        return self.readers["modules"](self)

    @cached_property
    def configuration(self) -> Any:
        """The services' configuration files, parsed."""
        return self.readers["configuration"](self)
