"""The words of the command line, and why a run with some of them cannot begin."""

from __future__ import annotations

import argparse
from pathlib import Path

from policies.gate.run import FAMILIES
from policies.shared.rule import read

#: The reports that are written into files.
REPORTS = {"sarif": "the report as SARIF", "junit": "the report as JUnit XML", "markdown": "a summary"}
SERVICES = read(Path(__file__).parent / "tools" / "services.yml")
EXAMPLES = """\
examples:
  make check                                        everything
  make check CHECK="--only MAIL_CMP,SHELLCHECK"     some rules
  make check CHECK="--changed-since origin/main"    what this branch brings
  make check CHECK="--explain MAIL_CMP_001"         why, and how to fix it
  make check CHECK="--list --json"                  every rule, for programs
  python -m policies check --families compose FOLDER    another compose project
"""


def _image(text: str) -> tuple[str, str]:
    service, _, image = text.partition("=")
    if service not in SERVICES or not image:
        raise argparse.ArgumentTypeError(f"{text}: write SERVICE=IMAGE, of {', '.join(SERVICES)}")
    return service, image


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.replace(",", " ").split())
    if not names:
        raise argparse.ArgumentTypeError("name at least one")
    return names


def _families(text: str) -> tuple[str, ...]:
    names = _names(text)
    if unknown := set(names) - set(FAMILIES):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(FAMILIES)}")
    return names


def _options(run: argparse.ArgumentParser) -> None:
    beginning = "MAIL_CMP stands for all that begin so"
    said = f"run these rules only, with commas; {beginning}"
    run.add_argument("--only", type=_names, default=(), metavar="RULES", help=said)
    said = f"judge these kinds only, with commas: {', '.join(FAMILIES)}"
    run.add_argument("--families", type=_families, default=FAMILIES, metavar="KINDS", help=said)
    said = "leave out what was found at this git reference"
    run.add_argument("--changed-since", metavar="REF", help=said)
    said = "a checker that is not at hand is a problem (for CI)"
    run.add_argument("--require-tools", action="store_true", help=said)
    said = "the image whose checker judges a service's files"
    run.add_argument("--image", type=_image, action="append", default=[], metavar="SERVICE=IMAGE", help=said)
    run.add_argument("--all", action="store_true", help="show every finding, not the worst twenty only")
    said = "the report, or the list, as JSON on standard output"
    run.add_argument("--json", action="store_true", help=said)
    for name, what in REPORTS.items():
        run.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write {what} as well")
    run.add_argument("--explain", metavar="RULE", help="say why a rule exists and how to follow it")
    said = "name the rules (with --only or --families some of them), and do nothing else"
    run.add_argument("--list", action="store_true", help=said)


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
    _options(run)
    commands.add_parser("docs", help="write policies/RULES.md from the rules")
    return top


def complaint(given: argparse.Namespace) -> str:
    """Return why a run with these arguments cannot begin; nothing if it can."""
    if not given.root.is_dir():
        return f"{given.root} is no folder"
    for path in filter(None, (getattr(given, name) for name in REPORTS)):
        if not path.absolute().parent.is_dir():
            return f"{path} cannot be written: there is no folder {path.parent}"
    return ""
