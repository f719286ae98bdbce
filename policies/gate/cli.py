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


def _explain(given: argparse.Namespace) -> int:
    from policies.gate import catalogue, explain

    info = catalogue.lookup(given.explain)
    if given.json:
        _dump(explain.as_data(info))
    else:
        print(explain.explained(info))
    return 0


def _list(given: argparse.Namespace) -> int:
    from policies.gate import catalogue, explain

    infos = explain.in_order(catalogue.chosen(given.only, given.families).values())
    if given.json:
        keys = {"rule": "id", "family": "family", "severity": "severity", "name": "name"}
        rows = [explain.as_data(each) for each in infos]
        _dump([{name: row[key] for name, key in keys.items()} for row in rows])
    else:
        for each in infos:
            print(f"{each.id:<20} {each.severity.word:<9} {each.name}")
    return 0


def _judge(given: argparse.Namespace) -> Result:
    only: tuple[str, ...] = ()
    if given.only:
        from policies.gate import catalogue

        only = tuple(catalogue.chosen(given.only, given.families))
    if given.changed_since is not None:
        from policies.gate import changes

        changes.commit(given.root, given.changed_since)
    since = given.changed_since or ""
    options = Options(only, given.families, since, given.require_tools, dict(given.image))

    def judged() -> Result:
        from policies.gate import check

        return check.check(given.root, options)

    return state.remembered(given.root, options, judged)


def _check(given: argparse.Namespace) -> int:
    if given.list:
        return _list(given)
    if given.explain is not None:
        return _explain(given)
    if complaint := arguments.complaint(given):
        return _say(complaint)
    result = _judge(given)
    from policies.gate import formats

    for name in arguments.REPORTS:
        if path := getattr(given, name):
            path.write_text(getattr(formats, name)(result), encoding="utf-8", errors="backslashreplace")
    if given.json:
        print(formats.as_json(result))
    else:
        formats.plain(result, Console(highlight=False, soft_wrap=True), given.all)
    return result.report.exit_code


def _docs(given: argparse.Namespace) -> int:
    from policies.gate import catalogue, explain

    PAGE.write_text(explain.page(catalogue.ours()), encoding="utf-8")
    return 0


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = arguments.parser().parse_args(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = {"docs": _docs, "check": _check}[given.command](given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has enough; there is nobody left to tell, and no verdict that was read to its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return MISUSE
    except (ValueError, OSError) as error:
        return _say(error)
    except Exception as error:
        for line in traceback.format_exc().splitlines():
            print(f"  {unspoken(line)}", file=sys.stderr)
        return _say(f"it failed and knows nothing, by a mistake of its own: {type(error).__name__}: {error}")
    except KeyboardInterrupt:
        return _say("stopped before the end: nothing is known")
    return code
