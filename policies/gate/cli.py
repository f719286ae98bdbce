"""The command line: python -m policies check | docs. A run that is remembered imports hardly anything."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from policies.gate import arguments, state
from policies.gate.messages import quiet, unspoken
from policies.gate.run import Options, Result

MISUSE = 2
PAGE = Path(__file__).parent.parent / "RULES.md"


def _say(text: object) -> int:
    """Say why nothing was done, and return the exit code of that."""
    print(f"gate: {unspoken(str(text))}", file=sys.stderr)
    return MISUSE


def _dump(data: object) -> None:
    print(quiet(json.dumps(data, indent=2, ensure_ascii=False)))


def _explain(given: argparse.Namespace, console: Console) -> int:
    from rich.markdown import Markdown

    from policies.gate import catalogue, explain

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


def _list(given: argparse.Namespace, console: Console) -> int:
    from policies.gate import catalogue, explain

    infos = explain.in_order(catalogue.infos(given.only, given.families))
    if not infos:
        return _say("no rule is named by both --only and --families")
    if given.json:
        rows = [explain.as_data(each) for each in infos]
        _dump(
            [
                {"rule": each["id"]} | {key: each[key] for key in ("family", "severity", "name")}
                for each in rows
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


def _options(given: argparse.Namespace) -> Options:
    only: tuple[str, ...] = ()
    if given.only:
        from policies.gate import catalogue

        only = catalogue.chosen(given.only, given.families)
    if given.changed_since:
        from policies.gate import changes

        if wrong := changes.complaint(given.root, given.changed_since):
            raise ValueError(f"--changed-since {given.changed_since}: {wrong}")
    asked = (only, given.families, given.changed_since or "", given.require_tools, dict(given.image))
    return Options(*asked)


def _judge(given: argparse.Namespace) -> Result:
    options = _options(given)

    def judged() -> Result:
        from policies.gate import check

        return check.check(given.root, options)

    return state.remembered(given.root, options, judged)


def _check(given: argparse.Namespace, console: Console) -> int:
    try:
        if given.list:
            return _list(given, console)
        if given.explain is not None:
            return _explain(given, console)
        if complaint := arguments.complaint(given):
            return _say(complaint)
        result = _judge(given)
    except ValueError as error:
        return _say(error)
    from policies.gate import formats

    try:
        for name in arguments.REPORTS:
            if path := getattr(given, name):
                _write(path, getattr(formats, name)(result))
    except OSError as error:
        return _say(f"a report cannot be written: {error}")
    if given.json:
        print(formats.as_json(result))
    else:
        formats.plain(result, console, given.all)
    return result.report.exit_code


def _docs(given: argparse.Namespace) -> int:
    from policies.gate import catalogue, explain

    wanted = explain.page(catalogue.ours())
    if given.check:
        same = PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted
        print(f"policies/RULES.md {'is what the rules say' if same else 'differs: make policies-docs'}")
        return 0 if same else 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


def _ahead(given: argparse.Namespace) -> int:
    from policies.gate import own_checks
    from policies.readers import Repository

    own_checks.run(Repository(given.root), tuple(given.frameworks))
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = arguments.parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    console = Console(highlight=False, soft_wrap=True)
    try:
        other = {"docs": _docs, "checkov": _ahead}.get(given.command)
        code = other(given) if other else _check(given, console)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough; there is nobody left to tell, and no verdict that was read to its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MISUSE
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            print(f"  {unspoken(line)}", file=sys.stderr)
        return _say(f"it failed and knows nothing, by a mistake of its own: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return _say("stopped before the end: nothing is known")
    return code
