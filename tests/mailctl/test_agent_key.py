"""What the deploy key may ask of the agent over ssh."""

import json

import pytest
from agent_world import GOOD, AgentWorld
from conftest import Cli
from test_agent_run import environments, world  # noqa: F401 (fixtures)

REFUSED = (
    "",
    "deploy",
    "deploy main",
    f"deploy {'A' * 40}",
    "verify; id",
    "deploy " + "a" * 40 + "\nid",
    "bash -i",
)


@pytest.mark.parametrize("asked", REFUSED)
def test_the_deploy_key_may_ask_for_three_things_only(
    cli: Cli, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ORIGINAL_COMMAND", asked)
    done = cli("agent", "over-ssh", "--json")
    [problem] = json.loads(done.stdout)["problems"]
    assert done.exit_code == 1 and problem["wrong"] == "is not what this key is for"


@pytest.fixture
def over_ssh(world: AgentWorld, cli: Cli, monkeypatch: pytest.MonkeyPatch):
    """Ask as who holds the deploy key does."""
    world.settings(trust="")

    def ask(what: str):
        monkeypatch.setenv("SSH_ORIGINAL_COMMAND", what)
        return cli("agent", "over-ssh", "--repo", world.repo)

    return ask


def test_over_ssh_a_commit_of_the_branch_is_deployed(world: AgentWorld, over_ssh) -> None:
    new = world.push(world.commit(GOOD))
    assert over_ssh(f"deploy {new}").exit_code == 0 and world.runs == new


def test_over_ssh_a_commit_of_no_branch_is_refused(world: AgentWorld, over_ssh) -> None:
    world.git("push", "-q", "origin", f"{world.commit(GOOD)}:refs/heads/other")
    done = over_ssh(f"deploy {world.git('rev-parse', 'HEAD')}")
    assert done.exit_code == 1 and "no commit of the branch" in done.stderr and world.runs == world.first


def test_over_ssh_an_older_commit_is_refused(world: AgentWorld, over_ssh) -> None:
    new = world.push(world.commit(GOOD))
    over_ssh(f"deploy {new}")
    done = over_ssh(f"deploy {world.first}")
    assert done.exit_code == 1 and "does not descend" in done.stderr and world.runs == new


def test_over_ssh_verify_is_make_verify(world: AgentWorld, over_ssh) -> None:
    assert over_ssh("verify").exit_code == 0
    (world.repo / "Makefile").write_text("verify:\n\t@false\n")
    assert over_ssh("verify").exit_code == 1
