"""Make a mail server repository: ask or read the answers, refuse bad ones, generate, check, say what is next.

`make new` runs this. Exit code 0: done; 1: refused or failed, and nothing is left; 2: misuse.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tools import drafts, machine, next_steps, repository
from tools.answers import ROOT, Refusal, complete, problems, read, refuse, validator
from tools.progress import Progress

EXAMPLES = """\
examples:
  make new                                 asks at a terminal; takes the defaults without one
  make new ANSWERS=answers.yml             asks nothing; what the file leaves out gets its default
  make new ANSWERS=answers.yml OUT=~/src   puts the repository into ~/src

an answers file, one 'question: answer' a line (cookiecutter.json has all questions):
  mail_domain: acme.com
  admin_email: you@acme.org
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


class Made(NamedTuple):
    """A repository that was made: where, and what a person should know about its first commit."""

    project: Path
    notes: tuple[str, ...]


def collect(options: argparse.Namespace, out: Path) -> dict[str, object]:
    """Return one good answer to every question, or raise Refusal; an existing target comes first."""
    repository.usable(out)
    if options.answers:
        given = read(Path(options.answers).expanduser())
        refuse_target(given, out)
    elif options.json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        given = {}
        refuse_target(given, out)
    else:
        given = ask(out)
    refuse(problems(given))
    return complete({**machine.defaults(), **given})


def refuse_target(given: Mapping[str, object], out: Path) -> None:
    """Refuse an existing target as soon as its name is known, so that nobody answers in vain."""
    named = {field: given[field] for field in ("project_name", "project_slug") if field in given}
    if not validator().problems(named):
        repository.free_target(out, str(complete(named)["project_slug"]))


def ask(out: Path) -> dict[str, object]:
    """Ask at the terminal, and keep each answer for the next run in case this one is interrupted."""
    from rich.console import Console

    from tools import prompting

    console, kept = Console(stderr=True), drafts.kept()

    def check(given: Mapping[str, object], field: str) -> object:
        wrong = prompting.problem(given, field)
        return wrong if wrong or field != "project_slug" else occupied(out, str(given[field]))

    if kept:
        console.print(
            f"The answers of the interrupted run ({drafts.place()}) are offered again.\n", markup=False
        )
    return prompting.Questions(console, {**machine.defaults(), **kept}, check, drafts.keep).ask()


def occupied(out: Path, slug: str) -> object:
    """Return the problem that a folder of this name exists, with a free name as its repair, or None."""
    try:
        repository.free_target(out, slug)
    except Refusal:
        numbered = (f"{slug[:60].rstrip('-')}-{number}" for number in range(2, 1000))
        free = next(name for name in numbered if not os.path.lexists(out / name))
        return validator().Problem("project_slug", slug, f"{out / slug} exists", f"'{free}'", free)
    return None


def generate(given: Mapping[str, object], out: Path) -> Made:
    """Write and commit the repository for good answers in `out`; whole or not at all."""
    target = repository.free_target(out, str(given["project_slug"]))
    found = repository.source()
    try:
        with repository.staging(out) as stage:
            made = repository.render(given, stage)
            if found:
                repository.note_source(made, given, found)
            author = repository.commit(made, given)
            os.rename(made, target)
    except OSError as error:
        raise Refusal(f"{out}: {error.strerror}; choose another OUT") from error
    except subprocess.CalledProcessError as error:
        raise Refusal(f"git {error.cmd[-1]}: {error.stderr.strip()}; fix that") from error
    return Made(target, notes(found, author, given))


def notes(
    found: repository.Source | None, author: str | None, given: Mapping[str, object]
) -> tuple[str, ...]:
    """Return what is not as usual, and what to do about it."""
    said = []
    if found is None:
        said.append("This template is not a git clone, so `make update` will not find newer versions of it.")
    elif found.edited:
        said.append("The template has uncommitted changes: `make update` will take them for edits of yours.")
    if author is None:
        said.append("git is not installed, so nothing is committed: git init && git add . && git commit")
    elif author == f"{given['project_name']} <{given['admin_email']}>":
        said.append(
            f"git does not know your name, so the first commit is by {author}. To change that: git config"
            " --global user.name and user.email, then git commit --amend --reset-author"
        )
    return tuple(said)


def make_targets(project: Path) -> frozenset[str]:
    """Return the targets of a repository's Makefile and of what it includes; none if it has no Makefile."""
    makefile = project / "Makefile"
    files = [makefile, *project.glob("platform/make/*.mk")] if makefile.is_file() else []
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    return frozenset(re.findall(r"^([a-z][a-z-]*):(?!=)", text, flags=re.MULTILINE))


def environment() -> dict[str, str]:
    """Return the environment without what the calling make left in it."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}


def make(folder: Path, *words: str) -> int:
    """Run make in a folder, with its output on stderr; return its exit code."""
    command = ["make", "--no-print-directory", "-C", str(folder), *words]
    return subprocess.run(command, env=environment(), stdout=sys.stderr, check=False).returncode


def check(project: Path, progress: Progress) -> str:
    """Run the repository's own gate and return passed or failed; its report goes to stderr.

    The gate's environment (hundreds of megabytes) stays with the template, for the next repository too.
    """
    gate = ROOT / ".venv-gate"
    fresh = "" if (gate / ".done").exists() else " (once, about a minute)"
    with progress.step(f"Prepare the gate's environment in {gate}{fresh}"):
        prepared = make(ROOT, f"{gate.name}/.done")
    with progress.step("Run the gate: make check"):
        # Its requirements were just written, so their date says nothing about the environment.
        failed = prepared or make(
            project, "check", f"GATE={gate}", "--old-file=platform/policies/requirements.txt"
        )
    return "failed" if failed else "passed"


def show(made: Made, verdict: str, found: list[next_steps.Step]) -> None:
    """Print where the repository is and what comes next; with colours on a terminal."""
    failed = verdict in ("failed", "interrupted")
    head = f"{made.project} is made, but its `make check` {'was ' * (verdict == 'interrupted')}{verdict}"
    head = head if failed else f"{made.project} is ready"
    for note in made.notes:
        print(f"Note: {note}", file=sys.stderr)
    if not sys.stdout.isatty():
        print(f"{head}\n\nNext:\n{next_steps.plain(found)}")
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"\n{head}", style="bold red" if failed else "bold green", markup=False)
    for number, step in enumerate(found, 1):
        console.print(f"\n{number}. {step.title}", style="bold", markup=False)
        for detail in step.details:
            console.print(f"   {detail}", style="cyan", markup=False)


def run(options: argparse.Namespace) -> int:
    """Do what the command line says; 0 when the repository is made and its check passed."""
    out = Path(options.out).expanduser().resolve()
    given = collect(options, out)
    checking = options.check and shutil.which("make") is not None
    progress = Progress(3 if checking else 1)
    with progress.step(f"Write and commit {out / str(given['project_slug'])}"):
        made = generate(given, out)
    drafts.forget()
    targets, verdict = make_targets(made.project), "not run"
    if checking and "check" in targets:
        try:
            verdict = check(made.project, progress)
        except KeyboardInterrupt:
            verdict = "interrupted"
    found = next_steps.steps(made.project, given, targets)
    if options.json:
        listed = [step._asdict() for step in found]
        said = {"project": str(made.project), "answers": given, "check": verdict, "notes": made.notes}
        print(json.dumps({**said, "next": listed}, indent=2))
    else:
        show(made, verdict, found)
    return 0 if verdict in ("passed", "not run") else 1


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    wrong: list = []
    try:
        return run(options)
    except Refusal as refusal:
        wrong = refusal.problems
        print(f"{refusal}\nnothing was generated", file=sys.stderr)
    except (KeyboardInterrupt, EOFError):
        if drafts.kept():
            print(f"\nyour answers are kept in {drafts.place()} for the next `make new`", file=sys.stderr)
        print("\nnothing was generated", file=sys.stderr)
    if options.json:
        print(
            json.dumps({"project": None, "problems": [problem._asdict() for problem in wrong]}, default=str)
        )
    return 1


if __name__ == "__main__":
    sys.exit(main())
