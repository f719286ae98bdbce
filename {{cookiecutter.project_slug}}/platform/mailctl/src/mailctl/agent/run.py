"""What the timer does: have a new commit deployed that is trusted and descends from what runs."""

import subprocess
import time
from typing import Any

from mailctl.agent import beside
from mailctl.agent.github import Trouble
from mailctl.agent.home import Home, git
from mailctl.agent.settings import FILE
from mailctl.agent.supervise import STDERR, Agent, resume, supervise, undo
from mailctl.agent.trust import Waiting, descends, fetch, judge
from mailctl.core.errors import Problem, Refused
from mailctl.core.format import duration
from mailctl.core.hosts import several

BUSY, UNCHANGED, WAITING, TROUBLE = "busy", "unchanged", "waiting", "trouble"
# Somebody may run red checks again: GitHub is asked so often, in seconds.
RED_SECONDS = 600.0


def run(agent: Agent) -> dict[str, Any]:
    """One look; what became of it. Raises Refused when agent.yml is missing or wrong."""
    agent.aside = True
    if agent.settings and not agent.settings.trust:
        wrong = "is empty: everything that is pushed would be deployed"
        raise Refused(Problem(f"{FILE}: trust", wrong, "name checks, signature or ref"))
    if who := agent.records.busy:
        return _looked(agent, BUSY, "", f"{who} is at work")
    try:
        document = resume(agent)
        if document and not document["ok"]:
            return _ended(agent, str(document.get("ref", "")), document)
        agent.send()
        if several(agent.context):
            if leader := beside.led_by(agent.context.project_name):
                return _followed(agent, leader)
            beside.start_forgotten(agent.records, agent.context)
        return _look(agent)
    except Trouble as trouble:
        return _looked(agent, TROUBLE, "", str(trouble))


def _followed(agent: Agent, leader: str) -> dict[str, Any]:
    """What became of a look on a host that another one deploys for: it gets what runs, to go on some day."""
    points = agent.records.points() if leader != beside.WORKS_ONLY else []
    if points and points[0].ref != git(agent.home.repo, "rev-parse", "HEAD").stdout.decode().strip():
        newest(agent)
        beside.follow(agent.home, points[0].ref)
    return _looked(agent, UNCHANGED, points[0].ref if points else "", leader)


def unready(home: Home, why: str) -> dict[str, Any]:
    """What became of a look that agent.yml does not allow yet."""
    home.remember(trouble=why, last={"at": time.time(), "result": TROUBLE, "commit": "", "reason": why})
    return {"ok": True, "result": TROUBLE, "commit": "", "reason": why}


def newest(agent: Agent) -> str:
    """The newest commit of the branch. Raises Trouble; Refused without agent.yml."""
    if not agent.settings:
        raise Refused(Problem(FILE, "is missing", "sudo make setup-host", value=str(agent.home.root)))
    return fetch(agent.home, agent.settings, agent.settings.branch)


def accept(agent: Agent, commit: str) -> None:
    """Raises Refused: it does not descend from what runs, or is not trusted; Waiting; Trouble."""
    points = agent.records.points()
    if points and not descends(agent.home, commit, points[0].ref):
        wrong = f"it does not descend from {points[0].ref[:12]}, which runs"
        fix = f"push one that does; to go there all the same, on the host: make deploy REF={commit[:12]}"
        raise Refused(Problem("history", wrong, fix, value=commit[:12]))
    assert agent.settings and agent.github  # noqa: S101 (newest() has refused without them)
    judge(agent.home, agent.settings, agent.github, commit)
    if several(agent.context) and (down := beside.down()):
        raise Waiting(f"{down} is down (make deploy says what can be done without)")


def accept_over_ssh(agent: Agent, commit: str) -> None:
    """Raises Refused unless the commit is one that GitHub's workflow may ask for."""
    if not descends(agent.home, newest(agent), commit):
        raise Refused(Problem("deploy", "is no commit of the branch", "merge it first", value=commit[:12]))
    try:
        accept(agent, commit)
    except Waiting as waiting:
        again = "run the job again later"
        raise Refused(Problem("deploy", f"waits: {waiting}", again, value=commit[:12])) from None


def _look(agent: Agent) -> dict[str, Any]:
    commit, points = newest(agent), agent.records.points()
    if not points:
        return _looked(agent, UNCHANGED, commit, "nothing was deployed here yet: make deploy does it first")
    if commit == points[0].ref:
        agent.home.remember(refused=None)
        healed = agent.settings and agent.settings.heal and supervise(agent, commit)
        return _ended(agent, commit, healed or {"ok": True, "result": UNCHANGED, "reason": ""})
    if reason := _left_alone(agent, commit):
        return _looked(agent, UNCHANGED, commit, reason)
    try:
        accept(agent, commit)
    except Waiting as waiting:
        known = agent.home.state().get("waiting") or {}
        since = known["since"] if known.get("commit") == commit else time.time()
        agent.home.remember(waiting={"commit": commit, "why": str(waiting), "since": since})
        agent.report(commit, "pending", f"waits: {waiting}")
        return _looked(agent, WAITING, commit, str(waiting))
    except Trouble:
        raise
    except Refused as refusal:
        return _refused(agent, commit, f"{refusal} ({refusal.problems[0].fix})")
    agent.home.remember(ran=time.time(), waiting=None)
    return _ended(agent, commit, supervise(agent, commit))


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


def _refused(agent: Agent, commit: str, reason: str) -> dict[str, Any]:
    """Into the history once for each reason, not at each look."""
    known = agent.home.state().get("refused") or {}
    if (known.get("commit"), known.get("reason")) != (commit, reason):
        undo(agent, commit, reason)
    agent.refuse(commit, reason, RED_SECONDS)
    agent.report(commit, "failure", f"refused: {reason}")
    return _looked(agent, "refused", commit, reason)


def _ended(agent: Agent, commit: str, document: dict[str, Any]) -> dict[str, Any]:
    """After a deployment the whole host is looked at."""
    if "result" not in document:
        return _looked(agent, TROUBLE, commit, "; ".join(one["wrong"] for one in document["problems"]))
    result, reason = document["result"], document["reason"]
    if result == "deployed":
        words = ("make", "--no-print-directory", "-C", str(agent.home.repo), "verify")
        if subprocess.run(words, stdout=STDERR, check=False).returncode:
            reason = "it runs, but make verify finds something wrong with this host"
            agent.report(commit, "failure", reason)
            return _looked(agent, result, commit, reason, ok=False)
    return _looked(agent, result, commit, reason)


def _looked(agent: Agent, result: str, commit: str, reason: str, ok: bool = True) -> dict[str, Any]:
    """The document of this run, which is remembered for the monitor."""
    new: dict[str, Any] = {"last": {"at": time.time(), "result": result, "commit": commit, "reason": reason}}
    if result == TROUBLE:
        new["trouble"] = reason
    elif result != BUSY:
        new |= {"ran": time.time(), "trouble": None}
        if result != WAITING:
            new["waiting"] = None
    agent.home.remember(**new)
    # Trouble is told by the monitor once it lasts; a failed unit stays failed until somebody looks.
    ok = ok and result in (BUSY, UNCHANGED, WAITING, TROUBLE, "deployed")
    return {"ok": ok, "result": result, "commit": commit, "reason": reason}
