"""The command line: python -m policies check | docs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown

from policies.gate import check, explain, formats
from policies.gate.info import OTHERS, Info, of_rule
from policies.gate.loading import load

MISUSE = 2
PAGE = Path(__file__).parent.parent / "RULES.md"


def _pairs(text: str) -> tuple[str, str]:
    service, sign, image = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text}: write it as SERVICE=IMAGE")
    return service, image


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.replace(",", " ").split() if name)


def _families(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name not in check.FAMILIES:
            raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(check.FAMILIES)}")
    return names


#: Name, what argparse makes of it, and what it is for.
OPTIONS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("--only", {"type": _names, "default": (), "metavar": "RULES"}, "run these rules only, with commas"),
    ("--families", {"type": _families, "default": check.FAMILIES}, "judge these kinds only, such as compose"),
    ("--changed-since", {"default": "", "metavar": "REF"}, "leave out what was found at this git reference"),
    ("--require-tools", {"action": "store_true"}, "a checker that is not at hand is a problem (for CI)"),
    (
        "--image",
        {"type": _pairs, "action": "append", "default": [], "metavar": "SERVICE=IMAGE"},
        "the image whose checker judges a service's files",
    ),
    ("--json", {"action": "store_true"}, "the report as JSON on standard output"),
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
    codes = "Exit 0: clean. 1: findings. 2: the gate could not do its job."
    run = commands.add_parser("check", help="judge a repository", description=codes)
    run.add_argument("root", nargs="?", type=Path, default=Path("."), help="the root (default: here)")
    for name, settings, purpose in OPTIONS:
        run.add_argument(name, help=purpose, **settings)
    docs = commands.add_parser("docs", help="write policies/RULES.md from the rules")
    docs.add_argument("--check", action="store_true", help="only compare: exit 1 if the page is out of date")
    return top


def known() -> dict[str, Info]:
    """Return every rule and checker there is."""
    return {rule.rule_id: of_rule(rule) for rule in load().rules.values()} | OTHERS


def _explain(rule: str, console: Console) -> int:
    infos = known()
    if rule not in infos:
        print(f"there is no rule {rule}; --list names them", file=sys.stderr)
        return MISUSE
    text = explain.explained(infos[rule])
    console.print(Markdown(text)) if console.is_terminal else print(text)
    return 0


def _check(given: argparse.Namespace, console: Console) -> int:
    if given.list:
        for rule, severity, name in explain.table(known()):
            print(f"{rule:<20} {severity:<9} {name}")
        return 0
    if given.explain:
        return _explain(given.explain, console)
    if not given.root.is_dir():
        print(f"{given.root} is no folder", file=sys.stderr)
        return MISUSE
    options = check.Options(
        only=given.only,
        families=given.families,
        changed_since=given.changed_since,
        require_tools=given.require_tools,
        images=dict(given.image),
    )
    try:
        result = check.check(given.root, options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return MISUSE
    for name in ("sarif", "junit", "markdown"):
        if path := getattr(given, name):
            path.write_text(getattr(formats, name)(result), encoding="utf-8")
    if given.json:
        print(formats.as_json(result))
    else:
        formats.plain(result, console)
    return result.report.exit_code


def _docs(only_compare: bool) -> int:
    wanted = explain.page(known())
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
    console = Console(highlight=False, soft_wrap=True)
    return _docs(given.check) if given.command == "docs" else _check(given, console)
