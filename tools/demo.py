"""`make demo`: a repository from the default answers in build/demo, and its whole stack on this machine.

    python -m tools.demo up|down

Upstream images where an image registry answers; where none does, stand-ins, which it says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools import engine, standins
from tools.answers import ROOT

HOME = ROOT / "build" / "demo"
COMPOSE_FILES = ("docker-compose.yml", "compose.local.yml")


def repository() -> Path:
    """The demo's repository, made again from today's template; the state of an earlier demo is kept."""
    from cookiecutter.main import cookiecutter

    HOME.mkdir(parents=True, exist_ok=True)
    return Path(cookiecutter(str(ROOT), no_input=True, output_dir=str(HOME), overwrite_if_exists=True))


def up() -> int:
    """Generate, choose the images, and hand over to the repository's own `make local`."""
    engine.ensure(with_debootstrap=True)
    choice = standins.choose(files=COMPOSE_FILES)
    print(choice.line, flush=True)
    project = repository()
    environment = dict(os.environ)
    if choice.standins:
        with standins.shown_progress() as progress:
            standins.build(progress)
        print(*standins.notes(), sep="\n", flush=True)
        environment["MAILCTL_LOCAL_OVERRIDES"] = str(standins.override(project, COMPOSE_FILES))
    print(f"Repository: {project}", flush=True)
    started = subprocess.run(
        ["make", "--no-print-directory", "local"], cwd=project, env=environment, check=False
    )
    if not started.returncode:
        print("end        make demo-down", flush=True)
    return started.returncode


def down() -> int:
    """End the demo and remove its containers, its state and its repository."""
    for mailctl in HOME.glob("*/.venv/bin/mailctl"):
        command = [str(mailctl), "local", "down", "--volumes", "--yes"]
        if code := subprocess.run(command, cwd=mailctl.parents[2], check=False).returncode:
            return code
    shutil.rmtree(HOME, ignore_errors=True)
    return 0


def main(words: list[str]) -> int:
    """Run the one command that was named."""
    commands = {"up": up, "down": down}
    if len(words) != 1 or words[0] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return commands[words[0]]()
    except (engine.EngineError, standins.StandinError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
