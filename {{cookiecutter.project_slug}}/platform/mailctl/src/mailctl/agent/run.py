"""What the timer does: have a new commit deployed that is trusted and descends from what runs."""

import subprocess
import time
from typing import Any

from mailctl.agent.github import Trouble
from mailctl.agent.settings import FILE, Settings
from mailctl.agent.supervise import Agent, refusal_of, resume, supervise, undo
from mailctl.agent.trust import Waiting, descends, fetch, judge
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration

BUSY, UNCHANGED, WAITING, TROUBLE = "busy", "unchanged", "waiting", "trouble"
# Somebody may run red checks again: GitHub is asked so often, in seconds.
RED_SECONDS = 600.0


def run(agent: Agent) -> dict[str, Any]:
    """One look; what became of it. Raises Refused when agent.yml is missing or wrong."""
    settings = agent.settings
    if settings is None:
        raise Refused(Problem(FILE, "is missing", "sudo make setup-host", value=str(agent.home.root)))
    if not settings.trust:
        wrong = "is empty: everything that is pushed would be deployed"
        raise Refused(Problem(f"{FILE}: trust", wrong, "name checks, signature or ref"))
    if who := agent.records.busy:
        return _looked(agent, BUSY, "", f"{who} is at work")
    try:
        document = resume(agent)
        if document and not document["ok"]:
            return _ended(agent, str(document.get("ref", "")), document)
        agent.send()
        return _look(agent, settings)
    except Trouble as trouble:
        return _looked(agent, TROUBLE, "", str(trouble))
    finally:
        agent.keep_tokens()


def _look(agent: Agent, settings: Settings) -> dict[str, Any]:
    commit = fetch(agent.home, settings, settings.branch)
    points = agent.records.points()
    if not points:
        return _looked(agent, UNCHANGED, commit, "nothing was deployed here yet: make deploy does it first")
    runs = points[0].ref
    if commit == runs:
        agent.home.remember(refused=None)
        document = (
            supervise(agent, commit) if settings.heal else {"ok": True, "result": UNCHANGED, "reason": ""}
        )
        return _ended(agent, commit, document)
    if reason := _left_alone(agent, commit):
        return _looked(agent, UNCHANGED, commit, reason)
    try:
        if not descends(agent.home, commit, runs):
            wrong = f"it does not descend from {runs[:12]}, which runs"
            fix = f"push one that does; to go there all the same, on the host: make deploy REF={commit[:12]}"
            raise Refused(Problem("history", wrong, fix, value=commit[:12]))
        judge(agent.home, settings, agent_github(agent), commit)
    except Waiting as waiting:
        return _waits(agent, commit, str(waiting))
    except Trouble:
        raise
    except Refused as refusal:
        return _refused(agent, commit, f"{refusal} ({refusal.problems[0].fix})")
    agent.home.remember(ran=time.time(), waiting=None)
    return _ended(agent, commit, supervise(agent, commit))


def agent_github(agent: Agent) -> Any:
    assert agent.github  # noqa: S101 (there are settings)
    return agent.github


def _left_alone(agent: Agent, commit: str) -> str:
    """Why a commit is not tried again: what was rolled back would only disturb mail again."""
    last = next((one for one in agent.records.history() if one["result"] != "refused"), None)
    bad = (
        last and last["result"] == "rolled-back" and (last.get("bad") or (last["from"] if last["ok"] else ""))
    )
    if bad == commit:
        return f"{commit[:12]} was rolled back: waiting for another (to try it again: make deploy)"
    known = agent.home.state().get("refused") or {}
    left = known.get("until", 0) - time.time()
    if known.get("commit") == commit and left > 0:
        return f"{commit[:12]} was refused, {known['reason']}: looked at again in {duration(left)}"
    return ""


def _waits(agent: Agent, commit: str, why: str) -> dict[str, Any]:
    known = agent.home.state().get("waiting") or {}
    since = known["since"] if known.get("commit") == commit else time.time()
    agent.home.remember(waiting={"commit": commit, "why": why, "since": since})
    agent.report(commit, "pending", f"waits: {why}")
    return _looked(agent, WAITING, commit, why)


def _refused(agent: Agent, commit: str, reason: str) -> dict[str, Any]:
    """Into the history once for each reason, not at each look."""
    known = agent.home.state().get("refused") or {}
    if (known.get("commit"), known.get("reason")) != (commit, reason):
        undo(agent, commit, reason)
    agent.home.remember(refused=refusal_of(commit, reason, RED_SECONDS), waiting=None)
    agent.report(commit, "failure", f"refused: {reason}")
    return _looked(agent, "refused", commit, reason)


def _ended(agent: Agent, commit: str, document: dict[str, Any]) -> dict[str, Any]:
    """After a deployment the whole host is looked at."""
    if "result" not in document:
        wrong = "; ".join(f"{one['field']}: {one['wrong']}" for one in document.get("problems", []))
        return _looked(agent, TROUBLE, commit, wrong or "the deployment did not begin")
    result, reason = document["result"], document["reason"]
    if document["ok"]:
        agent.home.remember(waiting=None)
    if result == "deployed":
        words = ("make", "--no-print-directory", "-C", str(agent.home.repo), "verify")
        if subprocess.run(words, check=False).returncode:
            reason = "it runs, but make verify finds something wrong with this host"
            agent.report(commit, "failure", reason)
            return _looked(agent, "deployed", commit, reason, ok=False)
    return _looked(agent, result, commit, reason)


def _looked(agent: Agent, result: str, commit: str, reason: str, ok: bool | None = None) -> dict[str, Any]:
    """The document of this run, which is remembered for the monitor."""
    ok = result in (BUSY, UNCHANGED, WAITING, "deployed") if ok is None else ok
    if result not in (BUSY, TROUBLE):
        agent.home.remember(ran=time.time(), trouble=None)
    elif result == TROUBLE:
        agent.home.remember(trouble=reason)
    agent.home.remember(last={"at": time.time(), "result": result, "commit": commit, "reason": reason})
    return {"ok": ok, "result": result, "commit": commit, "reason": reason}
