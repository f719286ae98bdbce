"""The words of the command line, and why a run with some of them cannot begin: asked before it, so that
nothing is half done.
"""

from __future__ import annotations

import argparse
import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from policies.gate.run import FAMILIES
from policies.shared.rule import read

#: The reports that are written into files.
REPORTS = ("sarif", "junit", "markdown")
SERVICES = read(Path(__file__).parent / "tools" / "services.yml")


def _pairs(text: str) -> tuple[str, str]:
    service, sign, image = text.partition("=")
    if not sign or not image.strip() or image.startswith("-") or any(each.isspace() for each in image):
        raise argparse.ArgumentTypeError(f"{text}: write it as SERVICE=IMAGE, such as nginx=nginx:1.2.3")
    if service not in SERVICES:
        hint = _near(service, SERVICES) or f"one of {', '.join(SERVICES)}"
        raise argparse.ArgumentTypeError(f"{text}: no checker runs in an image of {service}; {hint}")
    return service, image


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}?" if near else ""


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _families(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name not in FAMILIES:
            known = f"{name} is none of {', '.join(FAMILIES)}"
            raise argparse.ArgumentTypeError(": ".join(filter(None, (known, _near(name, FAMILIES)))))
    return names


EXAMPLES = """\
examples:
  make check                                        everything
  make check CHECK="--only MAIL_CMP,SHELLCHECK"     some rules
  make check CHECK="--changed-since origin/main"    what this branch brings
  make check CHECK="--explain MAIL_CMP_001"         why, and how to fix it
  make check CHECK="--list --json"                  every rule, for programs
  make check CHECK="--list --only MAIL_TF"          some of them
  python -m policies check --families compose FOLDER    another compose project
"""

#: Name, what argparse makes of it, and what it is for.
OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    (
        "--only",
        {"type": _names, "default": (), "metavar": "RULES"},
        "run these rules only, with commas; MAIL_CMP stands for all that begin so",
    ),
    (
        "--families",
        {"type": _families, "default": FAMILIES, "metavar": "KINDS"},
        "judge these kinds only, with commas: " + ", ".join(FAMILIES),
    ),
    ("--changed-since", {"metavar": "REF"}, "leave out what was found at this git reference"),
    ("--require-tools", {"action": "store_true"}, "a checker that is not at hand is a problem (for CI)"),
    (
        "--image",
        {"type": _pairs, "action": "append", "default": [], "metavar": "SERVICE=IMAGE"},
        "the image whose checker judges a service's files",
    ),
    ("--all", {"action": "store_true"}, "show every finding, not the worst twenty only"),
    ("--json", {"action": "store_true"}, "the report, or the list, as JSON on standard output"),
    ("--sarif", {"type": Path, "metavar": "FILE"}, "write the report as SARIF as well"),
    ("--junit", {"type": Path, "metavar": "FILE"}, "write the report as JUnit XML as well"),
    ("--markdown", {"type": Path, "metavar": "FILE"}, "write a summary for a pull request as well"),
    ("--explain", {"metavar": "RULE"}, "say why a rule exists and how to follow it, and do nothing else"),
    (
        "--list",
        {"action": "store_true"},
        "name the rules (with --only or --families some of them), and do nothing else",
    ),
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(prog="python -m policies", description="The gate of this repository.")
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "check",
        help="judge a repository",
        description="Judge a repository. Exit 0: clean. 1: findings. 2: the gate could not do its job.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("root", nargs="?", type=Path, default=Path("."), help="the root (default: here)")
    for name, settings, purpose in OPTIONS:
        run.add_argument(name, help=purpose, **settings)
    ahead = commands.add_parser("checkov", help="look ahead what checkov says, for a run of check")
    ahead.add_argument("root", type=Path)
    ahead.add_argument("frameworks", nargs="+")
    docs = commands.add_parser("docs", help="write policies/RULES.md from the rules")
    docs.add_argument("--check", action="store_true", help="only compare: exit 1 if the page is out of date")
    return top


def complaint(given: argparse.Namespace) -> str:
    """Return why a run with these arguments cannot begin; nothing if it can."""
    if not given.root.is_dir():
        return f"{given.root} is no folder" + (": name the one it is in" if given.root.exists() else "")
    services = [service for service, _ in given.image]
    if twice := next((each for each in services if services.count(each) > 1), ""):
        return f"--image names {twice} twice: name it once"
    if given.changed_since is not None and not given.changed_since.strip():
        return "--changed-since needs a git reference, for instance origin/main"
    return _reports([path for name in REPORTS if (path := getattr(given, name))])


def _reports(paths: list[Path]) -> str:
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
