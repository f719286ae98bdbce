"""`mailctl deploy`, by the commit's own mailctl, and `mailctl agent`. Imports work lazily."""

import os
import re
import subprocess
import sys
from typing import Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group
from mailctl.core.errors import FAILED, Problem, Refused

HELP = """The agent that deploys, from a folder of its own (AGENT_DIR): docs/deploying.md.

`run` is what the timer of DEPLOY_METHOD=pull calls, `over-ssh` what the deploy key of DEPLOY_METHOD=ssh may.
The others are called by the agent itself.
"""
# What the deploy key may ask for: a whole commit, and nothing of which a shell could make something else.
ALLOWED = re.compile(r"deploy [0-9a-f]{40}|verify|report")
CommitArgument = Annotated[str, typer.Argument(help="The whole name of a commit that this repository has.")]

app = group(HELP)


def deploy(
    ref: Annotated[str, typer.Option("--ref", help="The commit that shall run; default: HEAD.")] = "HEAD",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Only show what would be recreated, and for how long it is down."),
    ] = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deploy a commit, tried by canaries; roll back to what ran before if anything goes wrong."""
    with command(repo, as_json) as context:
        from mailctl.deploy.tree import Tree

        commit = Tree(context.repo, context.repo).commit(ref)
        if dry_run:
            from mailctl.agent.home import Home
            from mailctl.agent.versions import last_good

            words = [*last_good(Home.of(context)), "agent", "carry-out", commit, "--dry-run"]
            _pass([*words, *(["--json"] if as_json else [])], context)
        _supervise(context, commit)


@app.command()
def run(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Look at the branch once; deploy its newest commit if that is trusted and descends from what runs."""
    with command(repo, as_json) as context:
        from mailctl.agent.home import Home
        from mailctl.agent.run import run as look
        from mailctl.agent.run import unready
        from mailctl.agent.supervise import Agent
        from mailctl.core.errors import Refused
        from mailctl.core.lock import holder

        home = Home.of(context)
        if who := holder(home.root / "lock"):
            context.finish({"ok": True, "result": "busy", "commit": "", "reason": f"{who} is at work"})
            return
        with home.locked("mailctl agent run"):
            try:
                agent = Agent.of(context)
            except Refused as refusal:
                # Not the commit's fault, and not at each look a unit that has failed: the monitor says it.
                found = unready(home, str(refusal))
            else:
                found = look(agent)
        text = f"{found['commit'][:12]} {found['reason']}".strip()
        context.out.note(f"{found['result']}: {text}" if text else found["result"])
        context.finish(found)


@app.command("over-ssh")
def over_ssh(repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """What the deploy key's forced command does: `deploy COMMIT`, `verify` or `report`, and nothing else."""
    with command(repo, as_json) as context:
        asked = os.environ.get("SSH_ORIGINAL_COMMAND", "")
        if not ALLOWED.fullmatch(asked):
            wrong = "is not what this key is for"
            fix = "ask for one of: deploy and a whole commit (40 hex digits), verify, report"
            raise Refused(Problem("command", wrong, fix, value=asked[:80]))
        word, _, commit = asked.partition(" ")
        if word != "deploy":
            target = {"verify": "verify", "report": "host-report"}[word]
            _pass(["make", "--no-print-directory", "-C", str(context.repo), target], context)
        _supervise(context, commit, over_ssh=True)


@app.command()
def rehearse(commit: CommitArgument, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Of a new version, before it deploys: start, read everything, judge a commit. Nothing is changed."""
    with command(repo, as_json) as context:
        from mailctl.agent import run  # noqa: F401 (it starts, too)
        from mailctl.agent.supervise import Agent
        from mailctl.agent.trust import Waiting, judge

        agent, said = Agent.of(context, strict=False), ""
        if agent.settings and agent.github:
            try:
                judge(agent.home, agent.settings, agent.github, commit)
            except (Waiting, Refused) as error:
                said = str(error)
        context.finish({"ok": True, "said": said})


def _supervise(context: Context, commit: str, over_ssh: bool = False) -> None:
    from mailctl.agent.home import Home
    from mailctl.agent.run import accept_over_ssh
    from mailctl.agent.supervise import Agent, resume, supervise

    with Home.of(context).locked("mailctl deploy"):
        agent = Agent.of(context, strict=over_ssh)
        resumed = resume(agent)
        if over_ssh:
            accept_over_ssh(agent, commit)
        document = resumed if resumed and resumed.get("ref") == commit else supervise(agent, commit)
    if not document["ok"]:
        raise typer.Exit(FAILED)


def _pass(words: list[str], context: Context) -> None:
    """End as a child does, which says everything itself."""
    sys.stdout.flush()
    env = {**os.environ, "MAILCTL_REPO": str(context.repo)}
    code = subprocess.run(words, cwd=context.repo, env=env, check=False).returncode
    raise typer.Exit(min(code, FAILED) if code >= 0 else FAILED)
