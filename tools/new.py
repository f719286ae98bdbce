"""Make a mail server repository: ask or read the answers, refuse bad ones, generate, check, say what is next.

`make new` runs this. Exit code 0: done; 1: refused or failed, and nothing is left; 2: misuse.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools import next_steps
from tools.answers import ROOT, Refusal, complete, problems, read, refuse

EXAMPLES = """\
examples:
  make new                                 asks at a terminal; takes the defaults without one
  make new ANSWERS=answers.yml             asks nothing; what the file leaves out gets its default
  make new ANSWERS=answers.yml OUT=~/src   puts the repository into ~/src

an answers file, one 'question: answer' a line (cookiecutter.json has all questions):
  mail_domain: acme.com
  relay: ses
  antivirus: false
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line; ANSWERS and OUT also come from the environment, as make passes them."""
    made = argparse.ArgumentParser(
        prog="python -m tools.new",
        description="Make a mail server repository from a few answers.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    variable = os.environ.get
    made.add_argument("--answers", metavar="FILE", default=variable("ANSWERS"), help="YAML file of answers")
    made.add_argument("--out", metavar="DIR", default=variable("OUT") or ".", help="parent folder (.)")
    made.add_argument("--json", action="store_true", help="say the result as JSON and ask nothing")
    made.add_argument("--no-check", dest="check", action="store_false", help="do not run its `make check`")
    return made


def collect(options: argparse.Namespace) -> dict[str, object]:
    """Return one good answer to every question, or raise Refusal."""
    if options.answers:
        given = read(Path(options.answers).expanduser())
    elif options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        given = {}
    else:
        from tools.prompting import ask_until_good

        given = ask_until_good()
    refuse(problems(given))
    return complete(given)


def free_target(out: Path, slug: str) -> Path:
    """Return the folder to make; Refusal if it exists or if `out` cannot hold it."""
    target = out / slug
    if target.exists() or target.is_symlink():
        raise Refusal(f"{target} exists; choose another OUT or project_slug, or move it away")
    if any(part.startswith("{{") for part in out.parts):
        raise Refusal(f"{out} is part of the template; choose another OUT")
    return target


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Give a folder beside the target to work in, and leave nothing that was not there if the work fails."""
    new = next((folder for folder in reversed([out, *out.parents]) if not folder.exists()), None)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=out) as stage:
            yield Path(stage)
    except BaseException:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)
        raise


def generate(given: Mapping[str, object], out: Path) -> Path:
    """Write the repository for good answers into `out` and return its folder; whole or not at all."""
    from cookiecutter.main import cookiecutter

    target = free_target(out, str(given["project_slug"]))
    try:
        with staging(out) as stage:
            config = stage / "config.yml"
            private = {"cookiecutters_dir": str(stage / "cache"), "replay_dir": str(stage / "replay")}
            config.write_text(json.dumps(private), encoding="utf-8")
            made = cookiecutter(
                str(ROOT),
                no_input=True,
                extra_context=dict(given),
                output_dir=str(stage / "made"),
                config_file=str(config),
            )
            os.rename(made, target)
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror}; choose another OUT") from error
    return target


def make_targets(project: Path) -> frozenset[str]:
    """Return the targets of a repository's Makefile; none if it has no Makefile."""
    makefile = project / "Makefile"
    text = makefile.read_text(encoding="utf-8") if makefile.is_file() else ""
    return frozenset(re.findall(r"^([a-z][a-z-]*):(?!=)", text, flags=re.MULTILINE))


def check(project: Path) -> str:
    """Run the repository's own gate and return passed or failed; its report goes to stderr."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--no-print-directory", "-C", str(project), "check"]
    done = subprocess.run(command, env=clean, stdout=sys.stderr, check=False)
    return "passed" if done.returncode == 0 else "failed"


def show(project: Path, verdict: str, found: list[next_steps.Step]) -> None:
    """Print where the repository is and what comes next; with colours on a terminal."""
    head = f"{project} is ready" if verdict != "failed" else f"{project} is made, but its `make check` failed"
    if not sys.stdout.isatty():
        print(f"{head}\n\nNext:\n{next_steps.plain(found)}")
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n{head}", style="bold red" if verdict == "failed" else "bold green", markup=False)
    for number, step in enumerate(found, 1):
        console.print(f"\n{number}. {step.title}", style="bold", markup=False)
        for detail in step.details:
            console.print(f"   {detail}", style="cyan", markup=False)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 0 when the repository is made and its check passed."""
    given = collect(options)
    project = generate(given, Path(options.out).expanduser().resolve())
    targets = make_targets(project)
    checked = options.check and "check" in targets and shutil.which("make")
    verdict = check(project) if checked else "not run"
    found = next_steps.steps(project, given, targets)
    if options.json:
        listed = [step._asdict() for step in found]
        print(
            json.dumps(
                {"project": str(project), "answers": given, "check": verdict, "next": listed}, indent=2
            )
        )
    else:
        show(project, verdict, found)
    return 1 if verdict == "failed" else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = parser().parse_args(arguments)
    wrong: list = []
    try:
        return run(options)
    except Refusal as refusal:
        wrong = refusal.problems
        print(f"{refusal}\nnothing was generated", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        print("\nnothing was generated", file=sys.stderr)
    if options.json:
        print(
            json.dumps({"project": None, "problems": [problem._asdict() for problem in wrong]}, default=str)
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
