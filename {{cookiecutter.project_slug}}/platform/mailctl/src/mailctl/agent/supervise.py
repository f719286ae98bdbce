"""One deployment, carried out by the commit's own mailctl as a child, and watched by the last good version.

What a child is called with does not change between versions: `mailctl agent rehearse COMMIT` and
`mailctl agent carry-out COMMIT --result FILE [--dry-run] [--undo REASON]`. It ends with 0 or 1; all else is a
crash.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.agent import beside, versions
from mailctl.agent.github import WRITE, GitHub, Trouble
from mailctl.agent.home import Home
from mailctl.agent.settings import Settings, load
from mailctl.core.context import Context
from mailctl.core.errors import FAILED, Problem, Refused
from mailctl.core.hosts import several
from mailctl.deploy.records import Records
from mailctl.deploy.shared import records_of

# How often one that was interrupted is tried; how many seconds a child may take before it counts as crashed.
ATTEMPTS, CHILD_SECONDS = 2, 7200.0
# How long the timer leaves a refused commit alone: what it lacked may be there then.
REFUSED_SECONDS = 1800.0
STDERR = 2


@dataclass
class Agent:
    """What it works with; without agent.yml nothing is asked of GitHub, and nothing told."""

    context: Context
    home: Home
    settings: Settings | None
    records: Records
    github: GitHub | None
    #: Of the timer: stdout is for its own result, and what deployments print goes to stderr.
    aside: bool = False

    @classmethod
    def of(cls, context: Context, strict: bool = True) -> "Agent":
        """Raises Refused: agent.yml is wrong. Who works on the console needs it only for what is reported."""
        home, settings = Home.of(context), None
        try:
            settings = load(home)
        except Refused as refusal:
            if strict:
                raise
            context.out.warn(f"nothing is reported to GitHub: {refusal}")
        github = GitHub(home, settings) if settings else None
        return cls(context, home, settings, records_of(context), github)

    def report(self, commit: str, state: str, text: str) -> None:
        """Say at GitHub what became of a commit, once; what cannot be said now is said at the next run."""
        new = {"commit": commit, "state": state, "text": text, "sent": False}
        if self.home.state().get("report") != new | {"sent": True}:
            self.home.remember(report=new)
            self.send()

    def send(self) -> None:
        """Send the report that waits, if there is one."""
        report = self.home.state().get("report")
        if report and not report["sent"] and self.github and self.home.secret(WRITE):
            with suppress(Trouble):
                self.github.status(report["commit"], report["state"], report["text"])
                self.home.remember(report=report | {"sent": True})

    def refuse(self, commit: str, reason: str, seconds: float = REFUSED_SECONDS) -> None:
        """Leave a commit alone for so long."""
        self.home.remember(refused={"commit": commit, "reason": reason, "until": time.time() + seconds})


def supervise(agent: Agent, commit: str) -> dict[str, Any]:
    """Have a commit deployed by its own mailctl; whatever that does, one good state is there at the end.

    The document of its result: `result` is missing when it could not even begin, and `problems` says why.
    """
    trying = agent.home.state().get("trying") or {}
    attempts = trying["attempts"] + 1 if trying.get("commit") == commit else 1
    agent.home.remember(trying={"commit": commit, "attempts": attempts})
    if [one.ref for one in agent.records.points()[:1]] != [commit]:
        agent.report(commit, "pending", "is being deployed")
    document, crash = _tried(agent, commit, attempts)
    if crash:
        document = undo(agent, commit, crash)
    agent.home.remember(trying=None, refused=None)
    if "result" not in document:
        return document
    held = document.get("held")
    text = document["result"] + ("" if document["ok"] else f": {document['reason']}")
    text += f"; mail was held for {held['seconds']:.0f} s" if held else ""
    agent.report(commit, "success" if document["ok"] else "error" if crash else "failure", text)
    if not document["ok"]:
        agent.refuse(commit, document["reason"])
    return document


def _tried(agent: Agent, commit: str, attempts: int) -> tuple[dict[str, Any], str]:
    """What became of it; or why the last good version must clean up."""
    if attempts > ATTEMPTS:
        return {}, f"it was interrupted {attempts - 1} times"
    try:
        version = versions.install(agent.home, commit)
        _rehearse(agent, version, commit)
    except Refused as refusal:
        return {}, str(refusal)
    code, document, last = carry_out([str(version / "bin" / "mailctl")], agent, commit)
    if code not in (0, FAILED) or not document:
        return {}, f"its own mailctl ended with exit code {code}: {last}"
    if document["ok"]:
        versions.promote(agent.home, version)
    return document, ""


def undo(agent: Agent, commit: str, reason: str) -> dict[str, Any]:
    """Have the last good version take back what a commit has begun, and put it into the history."""
    _, document, last = carry_out(versions.last_good(agent.home), agent, commit, "--undo", reason)
    return document or {"ok": False, "problems": [{"field": "mailctl", "wrong": last, "fix": "make status"}]}


def resume(agent: Agent) -> dict[str, Any] | None:
    """End what was interrupted, if anything was."""
    if several(agent.context):
        beside.recall(agent.home, agent.context.project_name)
    trying, journal = agent.home.state().get("trying"), agent.records.journal()
    if trying:
        agent.context.out.note(f"an earlier deployment of {trying['commit'][:12]} was interrupted")
        return supervise(agent, trying["commit"])
    if journal and journal.phase != "preparing":
        return carry_out(versions.last_good(agent.home), agent, journal.target.ref)[1]
    return None


def _rehearse(agent: Agent, version: Path, commit: str) -> None:
    """A new version starts, reads everything and plans before it touches anything. Raises Refused."""
    if agent.home.version("current") == version.resolve():
        return
    for words in (["rehearse", commit], ["carry-out", commit, "--dry-run"]):
        agent.context.out.note(f"rehearsing the mailctl of {commit[:12]}: {words[0]}")
        code, last = _child(agent, [str(version / "bin" / "mailctl"), "agent", *words], subprocess.DEVNULL)
        if code not in (0, FAILED):
            wrong = f"of this commit does not start: {last or f'exit code {code}'}"
            raise Refused(Problem("mailctl", wrong, "fix it in a new commit"))


def carry_out(
    mailctl: Sequence[str], agent: Agent, commit: str, *words: str
) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and last line of a version that deploys or undoes; people read it meanwhile."""
    result = agent.home.root / "result.json"
    result.unlink(missing_ok=True)
    as_json = ["--json"] if agent.context.out.as_json and not agent.aside else []
    call = [*mailctl, "agent", "carry-out", commit, "--result", str(result), *words, *as_json]
    code, last = _child(agent, call, STDERR if agent.aside else None)
    try:
        return code, dict(json.loads(result.read_text("utf-8"))), last
    except (OSError, ValueError):
        return code, {}, last


def _child(agent: Agent, call: Sequence[str], stdout: int | None) -> tuple[int, str]:
    """Exit code and last line of a child; what it says is passed on as long as anybody listens."""
    env, last, heard = {**os.environ, "MAILCTL_REPO": str(agent.home.repo)}, "", True
    with _patient():
        child = subprocess.Popen(
            call, cwd=agent.home.repo, env=env, stdout=stdout, stderr=subprocess.PIPE, text=True
        )
        limit = threading.Timer(CHILD_SECONDS, child.kill)
        limit.start()
        for line in child.stderr or ():
            last = line.strip()[:300] or last
            try:
                if heard:
                    sys.stderr.write(line)
                    sys.stderr.flush()
            except (OSError, ValueError):
                heard = False
        code = child.wait()
        limit.cancel()
    return code, last


@contextmanager
def _patient() -> Iterator[None]:
    """Wait for the child's end. systemd and terminals ask it to stop themselves: it rolls back first."""
    # A handler, since a child would inherit that a signal is ignored.
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
