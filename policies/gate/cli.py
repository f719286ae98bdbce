"""The command line: python -m policies check | docs."""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from policies.gate import catalogue, check, explain, formats, patience

MISUSE = 2
PAGE = Path(__file__).parent.parent / "RULES.md"


def _pairs(text: str) -> tuple[str, str]:
    service, sign, image = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text}: write it as SERVICE=IMAGE")
    return service, image


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _families(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name not in check.FAMILIES:
            near = difflib.get_close_matches(name, check.FAMILIES, 1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(check.FAMILIES)}{hint}")
    return names


def _seconds(text: str) -> float:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text}: name a number of seconds above 0")
    return float(text)


REPORTS = ("sarif", "junit", "markdown")
#: What git answers outside of a repository.
NO_REPOSITORY = 128
EXAMPLES = """\
examples:
  make check                                        everything
  make check CHECK="--only MAIL_CMP,SHELLCHECK"     some rules
  make check CHECK="--changed-since origin/main"    what this branch brings
  make check CHECK="--explain MAIL_CMP_001"         why, and how to mend it
  make check CHECK="--list --json"                  every rule, for programs
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
        {"type": _families, "default": check.FAMILIES, "metavar": "KINDS"},
        "judge these kinds only, with commas: " + ", ".join(check.FAMILIES),
    ),
    ("--changed-since", {"default": "", "metavar": "REF"}, "leave out what was found at this git reference"),
    ("--require-tools", {"action": "store_true"}, "a checker that is not at hand is a problem (for CI)"),
    (
        "--image",
        {"type": _pairs, "action": "append", "default": [], "metavar": "SERVICE=IMAGE"},
        "the image whose checker judges a service's files",
    ),
    (
        "--time-limit",
        {"type": _seconds, "default": patience.STEP, "metavar": "SECONDS"},
        f"the longest that one rule or step may take (default: {patience.STEP:.0f})",
    ),
    ("--json", {"action": "store_true"}, "the report, or the list, as JSON on standard output"),
    ("--sarif", {"type": Path, "metavar": "FILE"}, "write the report as SARIF as well"),
    ("--junit", {"type": Path, "metavar": "FILE"}, "write the report as JUnit XML as well"),
    ("--markdown", {"type": Path, "metavar": "FILE"}, "write a summary for a pull request as well"),
    ("--explain", {"metavar": "RULE"}, "say why a rule exists and how to follow it, and do nothing else"),
    ("--list", {"action": "store_true"}, "name every rule, and do nothing else"),
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
    docs = commands.add_parser("docs", help="write policies/RULES.md from the rules")
    docs.add_argument("--check", action="store_true", help="only compare: exit 1 if the page is out of date")
    return top


def _say(text: object) -> int:
    """Say why nothing was done, and return the exit code of that."""
    print(f"gate: {text}", file=sys.stderr)
    return MISUSE


def _explain(name: str, console: Console) -> int:
    info = catalogue.lookup(name)
    if info is None:
        return _say(f"there is no rule {name}; {catalogue.meant(name, catalogue.ours())}")
    text = explain.explained(info)
    console.print(Markdown(text)) if console.is_terminal else print(text)
    return 0


def _list(as_json: bool, console: Console) -> int:
    infos = explain.in_order(catalogue.ours().values())
    if as_json:
        rows = [
            {"rule": each.id, "family": each.family, "severity": each.severity.word, "name": each.name}
            for each in infos
        ]
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    elif console.is_terminal:
        explain.show(infos, console)
    else:
        for each in infos:
            print(f"{each.id:<20} {each.severity.word:<9} {each.name}")
    return 0


def _complaint(given: argparse.Namespace) -> str:
    """Return why a run cannot begin; it is asked before the run, so that nothing is half done."""
    if not given.root.is_dir():
        return f"{given.root} is no folder"
    paths = [path for name in REPORTS if (path := getattr(given, name))]
    for path in paths:
        if path.is_dir():
            return f"{path} is a folder: name a file in it"
        if not path.absolute().parent.is_dir():
            return f"{path} cannot be written: there is no folder {path.parent}"
        if not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
            return f"{path} cannot be written: permission denied"
    if len({path.absolute() for path in paths}) < len(paths):
        return "two reports would be one file: give each a name of its own"
    return _reference(given.root, given.changed_since)


def _reference(root: Path, reference: str) -> str:
    """Return why a git reference cannot be compared with; nothing if it can."""
    if not reference:
        return ""
    command = ["git", "-C", str(root), "rev-parse", "--verify", "--quiet", "--end-of-options"]
    try:
        done = subprocess.run([*command, f"{reference}^{{commit}}"], capture_output=True, check=False)
    except OSError:
        return f"--changed-since {reference}: git is not installed"
    if done.returncode == NO_REPOSITORY:
        return f"--changed-since {reference}: {root} is no git repository"
    if done.returncode:
        return f"--changed-since {reference}: git knows no such commit, branch or tag here (git fetch?)"
    return ""


def _write(path: Path, text: str) -> None:
    """Write a report whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _check(given: argparse.Namespace, console: Console) -> int:
    if given.list:
        return _list(given.json, console)
    if given.explain:
        return _explain(given.explain, console)
    if complaint := _complaint(given):
        return _say(complaint)
    try:
        options = check.Options(
            only=catalogue.chosen(given.only),
            families=given.families,
            changed_since=given.changed_since,
            require_tools=given.require_tools,
            images=dict(given.image),
            time_limit=given.time_limit,
        )
        result = check.check(given.root, options)
    except ValueError as error:
        return _say(error)
    try:
        for name in REPORTS:
            if path := getattr(given, name):
                _write(path, getattr(formats, name)(result))
    except OSError as error:
        return _say(f"a report cannot be written: {error}")
    if given.json:
        print(formats.as_json(result))
    else:
        formats.plain(result, console)
    return result.report.exit_code


def _docs(only_compare: bool) -> int:
    wanted = explain.page(catalogue.ours())
    if only_compare:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted
        print(
            "policies/RULES.md is what the rules say"
            if same
            else "policies/RULES.md differs: make policies-docs"
        )
        return 0 if same else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    console = Console(highlight=False, soft_wrap=True)
    try:
        code = _docs(given.check) if given.command == "docs" else _check(given, console)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough; there is nobody left to tell, and no verdict that was read to its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MISUSE
    except KeyboardInterrupt:
        return _say("stopped before the end: nothing is known")
    return code
