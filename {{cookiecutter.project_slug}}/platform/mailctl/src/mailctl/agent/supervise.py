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

from mailctl.agent import versions
from mailctl.agent.github import WRITE, GitHub, Trouble
from mailctl.agent.home import Home
from mailctl.agent.settings import Settings, load
from mailctl.core.context import Context
from mailctl.core.errors import FAILED, Problem, Refused
from mailctl.deploy.records import Records

ENDS = (0, FAILED)
ATTEMPTS = 2
REHEARSAL_SECONDS = 600


@dataclass
class Agent:
    """What it works with; without agent.yml nothing is asked of GitHub, and nothing told."""

    context: Context
    home: Home
    settings: Settings | None
    records: Records
    github: GitHub | None

    @classmethod
    def of(cls, context: Context, strict: bool = True) -> "Agent":
        """Raises Refused: agent.yml is wrong. Who works on the console needs it only for what is reported."""
        home = Home.of(context)
        try:
            settings = load(home)
        except Refused as refusal:
            if strict:
                raise
            context.out.warn(f"nothing is reported to GitHub: {refusal}")
            settings = None
        github = GitHub(home, settings) if settings else None
        return cls(context, home, settings, Records.of(context), github)

    def report(self, commit: str, state: str, text: str) -> None:
        """Say at GitHub what became of a commit, once; what cannot be said now is said at the next run."""
        new = {"commit": commit, "state": state, "text": text, "sent": False}
        old = self.home.state().get("report")
        if old != new | {"sent": True}:
            self.home.remember(report=new)
            self.send()

    def send(self) -> None:
        """Send the report that waits, if there is one."""
        report = self.home.state().get("report")
        if report and not report["sent"] and self.github and self.home.secret(WRITE):
            with suppress(Trouble):
                self.github.status(report["commit"], report["state"], report["text"])
                self.home.remember(report=report | {"sent": True})
            self.keep_tokens()

    def keep_tokens(self) -> None:
        if self.github and self.github.tokens:
            self.home.remember(tokens={**self.home.state().get("tokens", {}), **self.github.tokens})


def supervise(agent: Agent, commit: str) -> dict[str, Any]:
    """Have a commit deployed by its own mailctl; whatever that does, one good state is there at the end.

    The document of its result: `result` is missing when it could not even begin, and `problems` says why.
    """
    home = agent.home
    trying = home.state().get("trying") or {}
    attempts = trying["attempts"] + 1 if trying.get("commit") == commit else 1
    home.remember(trying={"commit": commit, "attempts": attempts})
    agent.report(commit, "pending", "is being deployed")
    document, crash = _tried(agent, commit, attempts)
    if crash:
        document = undo(agent, commit, crash)
    home.remember(trying=None)
    if "result" in document:
        agent.report(commit, *_told(document, bool(crash)))
        home.remember(refused=None if document["ok"] else refusal_of(commit, document["reason"]))
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
    if code not in ENDS or (not document and code):
        return {}, f"its own mailctl ended with exit code {code}: {last}"
    if document.get("ok"):
        versions.promote(agent.home, version)
    return document, ""


def undo(agent: Agent, commit: str, reason: str) -> dict[str, Any]:
    """Have the last good version take back what a commit has begun, and put it into the history."""
    _, document, last = carry_out(versions.last_good(agent.home), agent, commit, "--undo", reason)
    return document or {"ok": False, "problems": [{"field": "mailctl", "wrong": last, "fix": "make status"}]}


def resume(agent: Agent) -> dict[str, Any] | None:
    """End what was interrupted, if anything was."""
    trying, journal = agent.home.state().get("trying"), agent.records.journal()
    if trying:
        agent.context.out.note(f"an earlier deployment of {trying['commit'][:12]} was interrupted")
        return supervise(agent, trying["commit"])
    if journal and journal.phase != "preparing":
        return carry_out(versions.last_good(agent.home), agent, journal.target.ref)[1]
    return None


def carry_out(
    mailctl: Sequence[str], agent: Agent, commit: str, *words: str
) -> tuple[int, dict[str, Any], str]:
    """Exit code, document and last line of a version that deploys or undoes; people read it meanwhile."""
    result = agent.home.root / "result.json"
    result.unlink(missing_ok=True)
    as_json = ["--json"] if agent.context.out.as_json else []
    call = [*mailctl, "agent", "carry-out", commit, "--result", str(result), *words, *as_json]
    with _patient():
        child = subprocess.Popen(
            call, cwd=agent.home.repo, env=_env(agent), stderr=subprocess.PIPE, text=True
        )
        last = _passed_on(child)
        code = child.wait()
    try:
        document = dict(json.loads(result.read_text("utf-8")))
    except (OSError, ValueError):
        document = {}
    return code, document, last


def _passed_on(child: "subprocess.Popen[str]") -> str:
    """Tell what the child says on stderr, as long as anybody listens; its last line."""
    last, heard = "", True
    assert child.stderr  # noqa: S101 (it is a pipe)
    for line in child.stderr:
        last = line.strip()[:300] or last
        try:
            if heard:
                sys.stderr.write(line)
                sys.stderr.flush()
        except (OSError, ValueError):
            heard = False
    return last


@contextmanager
def _patient() -> Iterator[None]:
    """Wait for the child's end. systemd and terminals ask it to stop themselves: it rolls back first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A handler, since a child would inherit that a signal is ignored.
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rehearse(agent: Agent, version: Path, commit: str) -> None:
    """A new version starts, reads everything and plans before it touches anything. Raises Refused."""
    if agent.home.version("current") == version.resolve():
        return
    mailctl = str(version / "bin" / "mailctl")
    for words in (["rehearse", commit], ["carry-out", commit, "--dry-run"]):
        agent.context.out.note(f"rehearsing the mailctl of {commit[:12]}: {words[0]}")
        call = [mailctl, "agent", *words, "--json"]
        try:
            done = subprocess.run(
                call,
                cwd=agent.home.repo,
                env=_env(agent),
                capture_output=True,
                text=True,
                timeout=REHEARSAL_SECONDS,
                check=False,
            )
            code, said = done.returncode, done.stderr.strip().splitlines()
        except subprocess.TimeoutExpired:
            code, said = -1, ["it does not come to an end"]
        if code not in ENDS:
            wrong = f"of this commit does not start: {(said or [f'exit code {code}'])[-1][:300]}"
            raise Refused(Problem("mailctl", wrong, "fix it in a new commit"))


def _env(agent: Agent) -> dict[str, str]:
    return {**os.environ, "MAILCTL_REPO": str(agent.home.repo)}


def _told(document: dict[str, Any], crashed: bool) -> tuple[str, str]:
    """State and text of a commit status."""
    held = document.get("held")
    waited = f"; mail was held for {held['seconds']:.0f} s" if held else ""
    if document["ok"]:
        return "success", f"{document['result']}{waited}"
    return "error" if crashed else "failure", f"{document['result']}: {document['reason']}{waited}"


def refusal_of(commit: str, reason: str, again: float = 1800.0) -> dict[str, Any]:
    """What is remembered of a refused commit: until when it is left alone."""
    return {"commit": commit, "reason": reason, "until": time.time() + again}
