"""Paths of a workflow's files, as its scripts and its actions write them."""

from __future__ import annotations

import posixpath
import re
from fnmatch import fnmatchcase

RUNNER_TEMP = re.compile(r"\$\{\{\s*runner\.temp\s*\}\}|\$\{?RUNNER_TEMP\}?")
WORKSPACE = re.compile(r"(?:\$\{\{\s*github\.workspace\s*\}\}|\$\{?GITHUB_WORKSPACE\}?|\$PWD)/?")
HOME = re.compile(r"^(?:\$\{?HOME\}?|~)(?=/|$)")


def kept_as(path: str) -> str:
    """Return a path in one way of writing: relative to the workspace, or from ~ or RUNNER_TEMP."""
    path = WORKSPACE.sub("", RUNNER_TEMP.sub("RUNNER_TEMP", path.strip().strip("\"'")))
    return posixpath.normpath(HOME.sub("~", path) or ".")


def covers(path: str, file: str) -> bool:
    """Tell whether a path of an upload takes a file along; both as `kept_as` returns them."""
    outside = file.startswith(("RUNNER_TEMP", "~", "/"))
    return (
        file == path
        or (path == "." and not outside)
        or file.startswith(f"{path}/")
        or fnmatchcase(file, path)
    )
