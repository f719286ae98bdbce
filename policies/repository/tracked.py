"""Which files are in git, or would be with the next `git add .`, and what its history holds."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatch
from functools import lru_cache
from typing import TYPE_CHECKING

from policies.model import Place
from policies.shared.repository import is_git

if TYPE_CHECKING:
    from policies.shared.repository import Repository

#: Every line that a commit of any branch added, without anybody's own settings.
LOG = (
    "log", "--all", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames",
    "--text", "--diff-merges=first-parent", "--src-prefix=a/", "--dst-prefix=b/", "--format=commit:%H",
)  # fmt: skip
#: How much of a commit's name is shown.
SHORT = 12
HUNK = re.compile(r"^@@ -\S+ \+(\d+)")


def tracked(repository: Repository) -> list[str]:
    """Return the files that git has or would take; without git, those that .gitignore does not name."""
    if is_git(repository.root) or ".gitignore" not in repository.files:
        return list(repository.files)
    lines = [line.strip() for line in repository.text(".gitignore").splitlines()]
    patterns = tuple(line for line in lines if line and not line.startswith("#"))
    return [file for file in repository.files if file in repository.changes or not _ignored(file, patterns)]


@lru_cache(maxsize=4096)
def _ignored(file: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether .gitignore names a file; the last pattern that fits decides (names and folders)."""
    result, parts = False, file.split("/")
    for pattern in patterns:
        wanted = pattern.removeprefix("!").strip("/")
        names = parts[:-1] if pattern.endswith("/") else parts
        if any(fnmatch(name, wanted) for name in names) or fnmatch(file, wanted):
            result = not pattern.startswith("!")
    return result


def _git(repository: Repository, *words: str) -> str:
    command = ["git", "-C", str(repository.root), *words]
    done = subprocess.run(command, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "backslashreplace")


def _lines(repository: Repository, *words: str) -> Iterator[str]:
    """Yield what git says line by line: a history may be larger than the memory. Raises as _git does."""
    command = ["git", "-C", str(repository.root), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            for line in process.stdout or ():
                yield line.removesuffix(b"\n").decode("utf-8", "backslashreplace")
        except BaseException:  # whoever reads has enough, or was stopped
            process.kill()
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def commits(repository: Repository, *words: str) -> list[str]:
    """Return the commits that git names; none where it cannot."""
    try:
        return _git(repository, *words).split() if is_git(repository.root) else []
    except (OSError, subprocess.CalledProcessError):
        return []


def added_lines(repository: Repository, but: Collection[str] = ()) -> Iterator[tuple[str, Place, str]]:
    """Yield every line that a commit of any branch added: the commit, the place it had there, the line.

    `but` are commits that are left out, with all before them.

    A history that is cut off (a shallow clone) is noted as a problem: nobody can look at what is not there.
    """
    if not is_git(repository.root):
        return
    try:
        if _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
            fix = "fetch it: git fetch --unshallow, or fetch-depth: 0 in the workflow"
            repository.problem("not-looked-at", Place("."), "git's history is cut off", fix)
        left_out = [f"^{each}" for each in but]
        yield from _added(_lines(repository, *LOG, "--ignore-missing", *left_out))
    except (OSError, subprocess.CalledProcessError) as error:
        repository.problem("not-looked-at", Place("."), f"git's history: {error}", "repair the repository")


def _added(said: Iterable[str]) -> Iterator[tuple[str, Place, str]]:
    """Yield the lines that a log adds."""
    commit, file, line, inside = "", "", 0, False
    for text in said:
        if inside and text.startswith("+"):
            yield commit, Place(file, line), text[1:]
            line += 1
        elif text.startswith("commit:"):
            commit, inside = text[7 : 7 + SHORT], False
        elif text.startswith("diff --git "):
            inside = False
        elif text.startswith("+++ "):
            file = text[4:].strip('"\t').removeprefix("b/")
        elif text.startswith("@@ ") and (matched := HUNK.match(text)):
            line, inside = int(matched[1]), True
