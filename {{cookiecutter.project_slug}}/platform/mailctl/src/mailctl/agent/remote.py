"""What who holds the deploy key may have deployed: a commit of the branch that descends from what runs."""

from mailctl.agent.home import Home
from mailctl.agent.supervise import Agent
from mailctl.agent.trust import Waiting, descends, fetch, judge
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused


def accept(context: Context, commit: str) -> None:
    """Raises Refused unless the commit is one that GitHub's workflow may ask for."""
    home = Home.of(context)
    with home.locked("mailctl agent over-ssh"):
        agent = Agent.of(context)
        if not agent.settings or not agent.github:
            raise Refused(Problem("agent.yml", "is missing", "sudo make setup-host", value=str(home.root)))
        tip = fetch(home, agent.settings, agent.settings.branch)
        if not descends(home, tip, commit):
            wrong = f"is no commit of {agent.settings.branch}"
            raise Refused(Problem("deploy", wrong, "merge it first", value=commit[:12]))
        points = agent.records.points()
        if points and not descends(home, commit, points[0].ref):
            wrong = f"does not descend from {points[0].ref[:12]}, which runs"
            raise Refused(Problem("deploy", wrong, "on the host: make deploy REF=…", value=commit[:12]))
        try:
            judge(home, agent.settings, agent.github, commit)
        except Waiting as waiting:
            raise Refused(
                Problem("deploy", f"waits: {waiting}", "run the job again", value=commit[:12])
            ) from None
