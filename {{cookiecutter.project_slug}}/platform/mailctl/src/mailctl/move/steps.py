"""The steps of a move, each done once: a run that was interrupted goes on where it stopped."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mailctl.core import files, job_results
from mailctl.core.containers import failed
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd, private
from mailctl.core.runtime import Runtime

MAILCTL = (sys.executable, "-m", "mailctl")
SPOOL, QUEUE, JOURNAL = "/var/spool/postfix", "queue.tar", "move.json"
#: By which mail and people come in.
INTAKE = ("cloudflared", "nginx", "mailserver-api")
#: What changes mail besides.
MAIL = ("postfix", "dovecot")


@dataclass
class Move:
    """What the steps work with, and what is known of them; `folder` is carried from host to host."""

    context: Context
    server: Runtime
    folder: Path
    source: str = ""
    identity: Path | None = None
    wait: float = 0.0
    #: The folder of the old host, as it was copied here.
    carried: Path | None = None
    state: dict[str, Any] = field(default_factory=dict)

    def load(self, way: str) -> None:
        """What an earlier run has done. Raises Refused when it went the other way."""
        path = self.folder / JOURNAL
        self.state = json.loads(path.read_bytes()) if path.exists() else {"way": way, "done": {}}
        if self.state["way"] != way:
            fix = f"to begin another move: rm -r {self.folder}"
            raise Refused(Problem("move", f"this host is being moved {self.state['way']}", fix))

    def keep(self, **news: Any) -> None:
        self.state |= news
        files.write(self.folder / JOURNAL, json.dumps(self.state, indent=1))

    def mailctl(self, *words: str, **environ: str) -> None:
        """Another command, whose words are seen. Raises Refused."""
        command = [*MAILCTL, *words, "--repo", str(self.context.repo)]
        # To stderr: stdout is for this command's own result.
        done = subprocess.run(command, env={**self.context.environ, **environ}, stdout=2, check=False)
        if done.returncode:
            fix = "fix what it says above, then run the same command again: it goes on here"
            raise Refused(Problem(f"mailctl {words[0]}", "failed", fix))

    def compose(self, *words: str, edge: bool = True) -> str:
        """Docker Compose; without `edge` it knows no tunnel."""
        compose = self.server.compose(self.context.repo)
        if not edge:
            compose = replace(compose, environ={**compose.environ, "COMPOSE_PROFILES": "none"})
        return compose.run(*words)


#: Does one step and says what came of it. Its name is the step's, the first line of its docstring the title.
Step = Callable[[Move], str]


def folder(context: Context) -> Path:
    """Where a move keeps its notes and the queue."""
    return private(hdd(context) / job_results.FOLDER / "move")


def run(move: Move, steps: tuple[Step, ...]) -> None:
    """Do what is not done yet, and show each step with its time. Raises Refused with the step that failed."""
    done: dict[str, float] = move.state["done"]
    for number, step in enumerate(steps, start=1):
        name, title = step.__name__, (step.__doc__ or "").partition("\n")[0].removesuffix(".")
        if name in done:
            move.context.out.show(f"{number}/{len(steps)} {title}: done before")
            continue
        move.context.out.show(f"{number}/{len(steps)} {title} …")
        began = time.time()
        found = step(move)
        done[name] = round(time.time() - began, 1)
        move.keep(done=done)
        move.context.out.show(f"    {found} ({done[name]:.1f} s)")


def stop(move: Move, names: tuple[str, ...]) -> None:
    """Stop those of the services that there are."""
    if there := [name for name in names if name in move.server.running()]:
        move.compose("stop", *there)


def program(*words: str, **streams: Any) -> None:
    """Run a program of the host. Raises Refused with its own words."""
    done = subprocess.run(words, stderr=subprocess.PIPE, check=False, **streams)
    if done.returncode:
        raise Refused(failed(" ".join(words[:2]), done.stderr))


def commit(context: Context) -> str:
    """The commit that this repository is at. Raises Refused when files differ from it."""
    git = ["git", "-c", f"safe.directory={context.repo}", "-C", str(context.repo)]
    said = [
        subprocess.run([*git, *words], capture_output=True, text=True, check=False).stdout.strip()
        for words in (["status", "--porcelain", "--untracked-files=no"], ["rev-parse", "HEAD"])
    ]
    if said[0] or not said[1]:
        wrong = "is not committed: the other host would run something else"
        raise Refused(
            Problem("repository", wrong, "git commit and push, then make deploy", value=said[0][:200])
        )
    return said[1]
