"""A host with an agent, the repository that it follows, and commits whose mailctl is a small program.

That program keeps the promises of `mailctl agent carry-out`, or breaks them as its commit says. What runs on
the host is the line of a file, `live`; the documents of deployments are those that the real one writes.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mailctl.agent import settings, versions
from mailctl.agent.home import Home
from mailctl.agent.run import run
from mailctl.agent.supervise import Agent
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.deploy.records import Records

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
GOOD, STARTS_NOT, CRASHES, ROLLS_BACK = "good", "crashes at start", "crashes when it deploys", "rolls back"
PROGRAM = '''"""Deploys nothing but its own commit, as a line of a file."""
import json, os, signal, sys, time
from pathlib import Path

KIND, NUMBER = {kind!r}, {number}
{needs}


def step(world):
    count = world / "steps"
    number = int(count.read_text()) + 1
    count.write_text(str(number))
    if number == int((world / "kill").read_text()):
        os.killpg(os.getpgrp(), signal.SIGKILL)


def main():
    if KIND == "crashes at start":
        raise ZeroDivisionError("it does not start")
    words = sys.argv[2:]
    if words[0] == "rehearse" or "--dry-run" in words:
        return
    deployment = Deployment(words[1])
    given = dict(zip(words[2::2], words[3::2]))
    document = deployment.undo(given["--undo"]) if "--undo" in given else deployment.go()
    Path(given["--result"]).write_text(json.dumps(document))
    sys.exit(0 if document["ok"] else 1)


class Deployment:
    def __init__(self, commit):
        self.commit, self.world = commit, Path(os.environ["MAILCTL_REPO"]).parent
        self.folder = self.world / "ssd/.mailctl/deploy"
        (self.folder / "history").mkdir(parents=True, exist_ok=True)
        self.journal, self.live = self.folder / "journal.json", self.world / "live"

    def go(self):
        settled = self.settle()
        if settled and settled["ref"] == self.commit:
            return settled
        if self.live.read_text() == self.commit:
            return self.document("unchanged", self.commit, ok=True)
        self.write(dict(self.new(), phase="switching"))
        step(self.world)
        return self.forward()

    def new(self):
        point = dict(ref=self.live.read_text())
        target = dict(ref=self.commit)
        return dict(id=str(time.time_ns()), target=target, before=point, attempts=0, new_in=NUMBER)

    def forward(self):
        journal = json.loads(self.journal.read_text())
        self.live.write_text(journal["target"]["ref"])
        step(self.world)
        if KIND == "crashes when it deploys":
            raise ZeroDivisionError("a typo that only shows now")
        if KIND == "rolls back":
            return self.back(journal, "the canary did not come back")
        return self.end(self.document("deployed", journal["target"]["ref"], ok=True, state=journal["target"]))

    def settle(self, reason=""):
        if not self.journal.exists():
            return None
        journal = json.loads(self.journal.read_text())
        journal["attempts"] += 1
        self.write(journal)
        if reason or journal["attempts"] > 1:
            return self.back(journal, reason or "it was interrupted twice")
        return self.forward()

    def back(self, journal, reason):
        step(self.world)
        self.live.write_text(journal["before"]["ref"])
        bad = journal["target"]["ref"]
        return self.end(self.document("rolled-back", bad, reason=reason, bad=bad, state=journal["before"]))

    def undo(self, reason):
        return self.settle(reason) or self.end(self.document("refused", self.commit, reason=reason))

    def document(self, result, ref, ok=False, reason="", **more):
        plain = dict(ok=ok, ref=ref, result=result, reason=reason, away={{}}, at=time.time())
        return dict(plain, **dict(more, **{{"from": self.live.read_text()}}))

    def end(self, document):
        self.put(self.folder / "history" / f"{{time.time_ns()}}.json", document)
        step(self.world)
        self.journal.unlink(missing_ok=True)
        return document

    def write(self, journal):
        self.put(self.journal, journal)

    def put(self, path, document):
        path.with_suffix(".new").write_text(json.dumps(document))
        path.with_suffix(".new").replace(path)
'''


class AgentWorld:
    """`work` is where commits are made, `origin` what GitHub has, `repo` the clone on the host."""

    def __init__(self, root: Path, environments: Path) -> None:
        self.root, self.work, self.origin, self.repo = root, root / "work", root / "origin.git", root / "repo"
        self.home = Home(root / "agent", self.repo)
        self.number = 0
        for name in ("work", "ssd", "agent", "agent/keys", "agent/versions"):
            (root / name).mkdir()
        (root / "agent/envs").symlink_to(environments)
        self.git("init", "-q")
        self.git("init", "-q", "--bare", str(self.origin))
        self.git("remote", "add", "origin", str(self.origin))
        first = self.commit(GOOD)
        self.push(first)
        self.git("clone", "-q", str(self.origin), str(self.repo), where=root)
        lines = f"SSD_PATH={root}/ssd\nAGENT_DIR={root}/agent\nDEPLOY_METHOD=pull\n"
        (self.repo / ".env").write_text(lines)
        self.settings(trust="ref")
        self.counts(0)
        (root / "live").write_text("none")
        self.first = first
        self.by_hand(first)

    def git(self, *words: str, where: Path | None = None) -> str:
        done = subprocess.run(
            [*GIT, *words], cwd=where or self.work, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def settings(self, **lines: str) -> None:
        """Write agent.yml, and change lines of it."""
        given = {"repository": "owner/mail", "remote": str(self.origin), "branch": "main"}
        text = (
            Path(settings.__file__)
            .with_name("agent.yml")
            .read_text()
            .format(**given, trust=lines.pop("trust", "ref"))
        )
        for name, value in lines.items():
            old = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
            text = text.replace(old, f"{name}: {value}")
        (self.home.root / "agent.yml").write_text(text)

    def commit(self, kind: str, requirements: str = "", needs: str = "", *options: str) -> str:
        """A commit whose mailctl is of that kind."""
        self.number += 1
        place = self.work / "platform/mailctl/src/mailctl"
        place.mkdir(parents=True, exist_ok=True)
        (place / "__init__.py").touch()
        (place / "cli.py").write_text(PROGRAM.format(kind=kind, number=self.number, needs=needs))
        (place.parents[1] / "requirements.txt").write_text(requirements)
        (self.work / "answers.yml").touch()
        (self.work / "docker-compose.yml").write_text("name: shop-mail\nservices: {}\n")
        (self.work / "Makefile").write_text("verify:\n\t@true\n")
        (self.work / ".gitignore").write_text(".env\n")
        self.git("add", "--all")
        self.git(*options, "commit", "-q", "--allow-empty", "-m", f"{self.number}: {kind}")
        return self.git("rev-parse", "HEAD")

    def push(self, commit: str, checked: bool = True) -> str:
        """Make it what main is at GitHub, and what its checks have found good."""
        self.git("push", "-q", "--force", "origin", f"{commit}:refs/heads/main")
        if checked:
            self.git("push", "-q", "--force", "origin", f"{commit}:refs/heads/checked")
        return commit

    def push_here(self, commit: str) -> str:
        """Let the host have it, without a look of the agent."""
        self.git("push", "-q", str(self.repo), f"{commit}:refs/heads/there")
        return commit

    def back(self) -> None:
        """The next commit descends from what runs, as after a revert."""
        self.git("reset", "-q", "--hard", self.runs)

    @property
    def runs(self) -> str:
        return (self.root / "live").read_text()

    @property
    def history(self) -> list[dict[str, Any]]:
        return Records(self.root / "ssd/.mailctl/deploy").history()

    def counts(self, kill: int) -> None:
        """Kill the agent and its child at that step from now; 0: never."""
        (self.root / "steps").write_text("0")
        (self.root / "kill").write_text(str(kill))

    def agent(self) -> Agent:
        return Agent.of(Context(self.repo, Output(as_json=True), environ={}))

    def by_hand(self, commit: str) -> dict[str, Any]:
        """What `make deploy` does on the console."""
        from mailctl.agent.supervise import resume, supervise

        agent = self.agent()
        resumed = resume(agent)
        return resumed if resumed and resumed.get("ref") == commit else supervise(agent, commit)

    def run(self) -> dict[str, Any]:
        """What the timer does."""
        return run(self.agent())

    def killed(self, step: int) -> bool:
        """The same in a process that is killed with its child at that step; whether it was."""
        self.counts(step)
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            try:
                _mortal(self.root)
                self.run()
            finally:
                os._exit(0)
        dead = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) < 0
        self.counts(0)
        return dead


def _mortal(root: Path) -> None:
    """Each thing that the agent writes down, points at or installs is a step as well."""
    program: dict[str, Any] = {}
    exec(PROGRAM.format(kind=GOOD, number=0, needs="").split("def main")[0], program)  # noqa: S102 (ours)

    def stepping(function: Callable[..., Any]) -> Callable[..., Any]:
        def both(*words: Any, **more: Any) -> Any:
            program["step"](root)
            return function(*words, **more)

        return both

    Home.remember = stepping(Home.remember)  # type: ignore[method-assign]
    Home.point = stepping(Home.point)  # type: ignore[method-assign]
    versions._environment = stepping(versions._environment)
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (until it dies)
