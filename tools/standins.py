"""Chooses between upstream images and stand-ins, builds the stand-ins, and writes the compose override.

    python -m tools.standins choose [DIR]      which images this machine can use, in one line
    python -m tools.standins build             builds the stand-ins that are missing
    python -m tools.standins override DIR      prints the path of the override file for a compose project

STANDINS=always or STANDINS=never decides without asking a registry.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tools import engine, standin_versions
from tools.standin_images import Progress, StandinError, Table, build
from tools.standin_override import DEFAULT_FILES, override, wanted_images

__all__ = ["Choice", "StandinError", "build", "choose", "notes", "override", "shown_progress"]

TEMPLATE = Path(__file__).parent.parent / "{{cookiecutter.project_slug}}"
PULL_SECONDS = 15
# What `docker pull` prints only once a registry has answered.
_ANSWERED = ("Pulling from", "Pulling fs layer", "Downloading", "Pull complete", "Digest:")


@dataclass(frozen=True)
class Choice:
    """The decision of one run, and why."""

    standins: bool
    reason: str

    @property
    def line(self) -> str:
        """The decision for people."""
        images = "stand-ins built from Debian packages" if self.standins else "the upstream images"
        return f"Images: {images}, because {self.reason}."


def choose(
    project: Path = TEMPLATE, files: Sequence[str] = DEFAULT_FILES, table: Table | None = None
) -> Choice:
    """Decide for this run whether upstream images can be had.

    They can if the engine already has all of them, or if a registry answers: the smallest missing one is
    pulled for at most 15 seconds, and a pull that has begun counts.

    Raises:
        StandinError: for an unknown value of STANDINS, or if the project cannot be read.
    """
    wish = os.environ.get("STANDINS", "auto").lower() or "auto"
    if wish not in ("auto", "always", "never"):
        raise StandinError(f"STANDINS={wish} is none of: auto, always, never")
    if wish != "auto":
        return Choice(standins=wish == "always", reason=f"STANDINS={wish} says so")
    table = table or Table()
    missing = [reference for reference in wanted_images(project, files, table) if not _is_here(reference)]
    if not missing:
        return Choice(standins=False, reason="the engine has all of them")
    smallest = min(missing, key=lambda reference: image.megabytes if (image := table.find(reference)) else 0)
    answer = _pull(smallest)
    if not answer:
        return Choice(standins=False, reason="the image registry answers")
    return Choice(standins=True, reason=f"no image registry answers ({answer})")


def notes(table: Table | None = None) -> list[str]:
    """What belongs beside every result: a line for each built stand-in that is not of the pinned version."""
    return standin_versions.notes(table or Table())


def _is_here(reference: str) -> bool:
    return engine.run(["docker", "image", "inspect", reference]).returncode == 0


def _pull(reference: str) -> str:
    """Try to pull; return nothing if a registry answered, else what went wrong, in a few words."""
    with subprocess.Popen(
        ["docker", "pull", reference], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            output, errors = process.communicate(timeout=PULL_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            errors = f"no answer within {PULL_SECONDS} s"
    if process.returncode == 0 or any(sign in output for sign in _ANSWERED):
        return ""
    last = errors.strip().splitlines()[-1] if errors.strip() else "the pull failed"
    return last.rpartition(": ")[2][:100]


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Show a build's progress: a live board on a terminal, else a line for each start and each end."""
    started: dict[str, float] = {}

    def line(name: str, state: str) -> str:
        if state == "building":
            started[name] = time.monotonic()
            return f"{name:<10} building"
        seconds = f" in {time.monotonic() - started[name]:.0f} s" if name in started else ""
        return f"{name:<10} {state}{seconds}"

    if not sys.stderr.isatty():
        yield (
            lambda name, state: (
                None if state == "there" else print(line(name, state), file=sys.stderr, flush=True)
            )
        )
        return
    with _board() as show:
        yield lambda name, state: show(name, state, line(name, state))


@contextmanager
def _board() -> Iterator[Callable[[str, str, str], None]]:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="·"), TextColumn("{task.description}"), TimeElapsedColumn())
    with RichProgress(*columns, console=Console(stderr=True)) as board:
        tasks: dict[str, object] = {}

        def show(name: str, state: str, text: str) -> None:
            if state == "there":
                return
            if name not in tasks:
                tasks[name] = board.add_task(text, total=1)
            board.update(tasks[name], description=text, completed=0 if state == "building" else 1)  # type: ignore[arg-type]

        yield show


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.standins", description=__doc__.split("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("choose", "which images this machine can use"),
        ("override", "write the override file"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument(
            "directory", type=Path, nargs="?" if name == "choose" else None, default=TEMPLATE
        )
        command.add_argument(
            "-f", "--file", action="append", dest="files", help="a compose file in DIRECTORY"
        )
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
        if name == "override":
            command.add_argument(
                "-o", "--output", type=Path, help="where to write it (default: the cache folder)"
            )
    command = commands.add_parser("build", help="build the stand-ins that are missing")
    command.add_argument(
        "--fresh", action="store_true", help="build all of them again, with today's packages"
    )
    command.add_argument("--json", action="store_true", default=argparse.SUPPRESS)
    return parser


def _execute(arguments: argparse.Namespace) -> tuple[str, dict[str, object]]:
    """Do what was asked; return the line for people and the data for programs."""
    files = tuple(getattr(arguments, "files", None) or DEFAULT_FILES)
    if arguments.command == "choose":
        choice = choose(arguments.directory, files)
        return choice.line, asdict(choice)
    if arguments.command == "override":
        path = override(arguments.directory, files, output=arguments.output)
        return str(path), {"path": str(path)}
    began = time.monotonic()
    engine.ensure(lambda text: print(text, file=sys.stderr), with_debootstrap=True)
    with shown_progress() as progress:
        built = build(progress, fresh=arguments.fresh)
    seconds = round(time.monotonic() - began, 1)
    summary = f"{len(built)} stand-ins built in {seconds} s" if built else "all stand-ins are there"
    versions, different = standin_versions.built(Table()), notes()
    data = {"built": built, "seconds": seconds, "versions": versions, "notes": different}
    return "\n".join([summary, *different]), data


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 0 if it was done, 1 if it was refused or failed."""
    options = _parser().parse_args(arguments)
    try:
        text, data = _execute(options)
    except (StandinError, engine.EngineError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(data) if options.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
