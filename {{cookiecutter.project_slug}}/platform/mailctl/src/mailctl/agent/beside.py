"""The agent of one of several hosts: the one that leads the Swarm deploys, the others keep up with it."""

from mailctl.agent import versions
from mailctl.agent.home import Home
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.deploy.records import Records
from mailctl.deploy.tree import Tree
from mailctl.swarm import deploy, docker, forgotten, holding, kept

#: What `led_by` says on a host that cannot ask the Swarm.
WORKS_ONLY = "this host is no manager: the one that leads deploys"


def recall(home: Home, stack: str) -> None:
    """Remember here what the Swarm says is being tried: it began on another host, or ended there.

    Raises Refused: another host is at it.
    """
    if (role := kept.role()) == kept.WORKER:
        home.remember(trying=None)
        return
    now, mine = kept.current(stack), kept.this_host()
    if now is None or (role != kept.LEADER and now.host != mine):
        home.remember(trying=None)
    elif now.host != mine and not now.over:
        home.remember(trying=None)
        raise Refused(kept.busy(now))
    elif now.what == kept.DEPLOYS:
        home.remember(trying={"commit": now.commit, "attempts": now.attempts})
    elif commit := deploy.deployed(stack)[0]:
        # By hand: nobody knows what of it there is. What ran last is deployed again.
        home.remember(trying={"commit": commit, "attempts": 0})


def led_by(stack: str) -> str:
    """Why this host does not deploy; empty: it leads. Then it also ends what a host has missed."""
    if (role := kept.role()) == kept.LEADER:
        if kept.current(stack) is None:
            holding.off_late(stack, deploy.last_good(stack))
        return ""
    if role == kept.WORKER:
        return WORKS_ONLY
    leads = (each for each in docker.nodes() if (each.get("ManagerStatus") or {}).get("Leader"))
    return f"{next((each['Description']['Hostname'] for each in leads), 'another host')} leads, and deploys"


def start_forgotten(records: Records, context: Context) -> None:
    """Start services that the engine no longer tries to start; what cannot be now, the next look does."""
    try:
        with records.locked("mailctl agent run"):
            forgotten.look(context.project_name, context.out.note)
    except Refused as refusal:
        context.out.warn(f"services that wait for their host are not started: {refusal}")


def follow(home: Home, commit: str) -> None:
    """Have the tree and the mailctl of what runs. Raises Refused: a file was edited here."""
    tree = Tree(home.repo, home.repo)
    tree.refuse_edits()
    version = versions.install(home, commit)
    tree.go(commit)
    versions.promote(home, version)


def down() -> str:
    """The hosts that are down, in words."""
    nodes = docker.nodes()
    return ", ".join(each["Description"]["Hostname"] for each in nodes if each["Status"]["State"] != "ready")
