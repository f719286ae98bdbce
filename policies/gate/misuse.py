"""Why a run cannot begin: asked before it, so that nothing is half done."""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Iterable

from policies.gate import changes
from policies.gate.tools.services import SERVICES

#: The reports that are written into files.
REPORTS = ("sarif", "junit", "markdown")


def complaint(given: argparse.Namespace) -> str:
    """Return why a run with these arguments cannot begin; nothing if it can."""
    if not given.root.is_dir():
        return f"{given.root} is no folder" + (": name the one it is in" if given.root.exists() else "")
    return _images(given.image) or _reports(given) or _reference(given)


def _reference(given: argparse.Namespace) -> str:
    reference = given.changed_since
    if reference is None:
        return ""
    if not reference.strip():
        return "--changed-since needs a git reference, for instance origin/main"
    wrong = changes.complaint(given.root, reference)
    return f"--changed-since {reference}: {wrong}" if wrong else ""


def _reports(given: argparse.Namespace) -> str:
    paths = [path for name in REPORTS if (path := getattr(given, name))]
    for path in paths:
        if path.is_dir():
            return f"{path} is a folder: name a file in it"
        if path.absolute().is_relative_to("/dev") or path.absolute().is_relative_to("/proc"):
            return f"{path} is no file: name one, and read it afterwards (--json writes to standard output)"
        if not path.absolute().parent.is_dir():
            return f"{path} cannot be written: there is no folder {path.parent}"
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            return f"{path} cannot be written: permission denied"
    if len({path.absolute() for path in paths}) < len(paths):
        return "two reports would be one file: give each a name of its own"
    return ""


def _images(pairs: Iterable[tuple[str, str]]) -> str:
    known = {str(getattr(tool, "service", "")) for tool in SERVICES}
    seen = set()
    for service, image in pairs:
        if service not in known:
            near = difflib.get_close_matches(service, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"one of {', '.join(sorted(known))}"
            return f"--image {service}={image}: no checker runs in an image of {service or 'nothing'}; {hint}"
        if not image.strip() or image.startswith("-") or any(sign.isspace() for sign in image):
            return f"--image {service}={image}: write an image such as {service}:1.2.3 behind the ="
        if service in seen:
            return f"--image names {service} twice: name it once"
        seen.add(service)
    return ""
