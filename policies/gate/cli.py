"""The command line: python -m policies check | docs."""

from __future__ import annotations

import argparse
import difflib
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from policies.gate import catalogue, check, explain, formats, misuse, wording

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
        {"type": _families, "default": check.FAMILIES, "metavar": "KINDS"},
        "judge these kinds only, with commas: " + ", ".join(check.FAMILIES),
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
    docs = commands.add_parser("docs", help="write policies/RULES.md from the rules")
    docs.add_argument("--check", action="store_true", help="only compare: exit 1 if the page is out of date")
    return top


def _say(text: object) -> int:
    """Say why nothing was done, and return the exit code of that."""
    print(f"gate: {wording.unspoken(str(text))}", file=sys.stderr)
    return MISUSE


def _explain(given: argparse.Namespace, console: Console) -> int:
    info = catalogue.lookup(given.explain)
    if info is None:
        hint = catalogue.meant(given.explain, catalogue.like(given.explain))
        return _say(f"--explain {given.explain}: there is no such rule; {hint}")
    if given.json:
        _dump(explain.as_data(info))
    elif console.is_terminal:
        console.print(Markdown(explain.explained(info)))
    else:
        print(explain.explained(info))
    return 0


def _dump(data: object) -> None:
    print(wording.quiet(json.dumps(data, indent=2, ensure_ascii=False)))


def _list(given: argparse.Namespace, console: Console) -> int:
    infos = explain.in_order(catalogue.infos(given.only, given.families))
    if not infos:
        return _say("no rule is named by both --only and --families")
    if given.json:
        _dump(
            [
                {"rule": each.id, "family": each.family, "severity": each.severity.word, "name": each.name}
                for each in infos
            ]
        )
    elif console.is_terminal:
        explain.show(infos, console)
    else:
        for each in infos:
            print(f"{each.id:<20} {each.severity.word:<9} {each.name}")
    return 0


def _write(path: Path, text: str) -> None:
    """Write a report whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _options(given: argparse.Namespace) -> check.Options:
    return check.Options(
        only=catalogue.chosen(given.only, given.families),
        families=given.families,
        changed_since=given.changed_since or "",
        require_tools=given.require_tools,
        images=dict(given.image),
    )


def _check(given: argparse.Namespace, console: Console) -> int:
    try:
        if given.list:
            return _list(given, console)
        if given.explain is not None:
            return _explain(given, console)
        if complaint := misuse.complaint(given):
            return _say(complaint)
        result = check.check(given.root, _options(given))
    except ValueError as error:
        return _say(error)
    try:
        for name in misuse.REPORTS:
            if path := getattr(given, name):
                _write(path, getattr(formats, name)(result))
    except OSError as error:
        return _say(f"a report cannot be written: {error}")
    if given.json:
        print(formats.as_json(result))
    else:
        formats.plain(result, console, given.all)
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
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            print(f"  {wording.unspoken(line)}", file=sys.stderr)
        return _say(f"it failed and knows nothing, by a mistake of its own: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return _say("stopped before the end: nothing is known")
    return code
