"""Which commits the agent takes: green checks, signatures, a ref; and what it says to GitHub."""

import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from agent_world import CRASHES, GOOD, AgentWorld
from test_agent_run import environments, world  # noqa: F401 (fixtures)

from mailctl.agent.settings import load
from mailctl.core.errors import Refused
from tests.github import GitHub, Server, Token

SECRET, OTHER = "a-token-that-reads", "a-token-that-writes"


@pytest.fixture
def github(world: AgentWorld) -> Iterator[GitHub]:
    """A GitHub that the agent asks for checks, with a token that may read them."""
    with Server(GitHub()) as github:
        github.tokens[SECRET] = Token({"actions": "read"})
        world.settings(trust="checks", api=github.url)
        world.home.key("github_token").write_text(f"{SECRET}\n")
        yield github


def reports(world: AgentWorld, github: GitHub) -> None:
    github.tokens[OTHER] = Token({"statuses": "write"})
    world.home.key("github_status_token").write_text(OTHER)


def said(github: GitHub, commit: str) -> list[str]:
    return [one["state"] for one in github.statuses.get(commit, [])]


@pytest.fixture
def new(world: AgentWorld, github: GitHub) -> str:
    """A commit that was pushed just now."""
    commit = world.push(world.commit(GOOD))
    github.commits.add(commit)
    return commit


def test_green_checks_have_a_commit_deployed(world: AgentWorld, github: GitHub, new: str) -> None:
    github.run(new, path=".github/workflows/main.yml@main")
    assert world.run()["result"] == "deployed" and world.runs == new


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting"])
def test_checks_that_are_under_way_are_waited_for(
    world: AgentWorld,
    github: GitHub,
    new: str,
    status: str,
) -> None:
    run = github.run(new, status=status, conclusion=None)
    assert world.run()["result"] == "waiting" and world.runs == world.first
    run.update(status="completed", conclusion="success")
    assert world.run()["result"] == "deployed"


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "skipped", "neutral"])
def test_checks_that_are_not_green_refuse_a_commit(
    world: AgentWorld,
    github: GitHub,
    new: str,
    conclusion: str,
) -> None:
    github.run(new, conclusion=conclusion)
    found = world.run()
    assert found["result"] == "refused" and conclusion in found["reason"] and world.runs == world.first


def test_red_checks_are_asked_for_again_after_ten_minutes(
    world: AgentWorld,
    github: GitHub,
    new: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = github.run(new, conclusion="failure")
    world.run()
    asked = len(github.asked)
    run["conclusion"] = "success"
    assert world.run()["result"] == "unchanged" and len(github.asked) == asked
    later = time.time() + 601
    monkeypatch.setattr("mailctl.agent.run.time.time", lambda: later)
    assert world.run()["result"] == "deployed"


NOT_THE_RUN = {
    "of a pull request": {"event": "pull_request"},
    "of another branch": {"head_branch": "other"},
    "of a fork": {"head_repository": {"full_name": "stranger/mail"}},
    "of another workflow": {"path": ".github/workflows/other.yml"},
    "of another commit": {"head_sha": "0" * 40},
}


@pytest.mark.parametrize("values", NOT_THE_RUN.values(), ids=list(NOT_THE_RUN))
def test_a_green_run_that_is_not_the_one_counts_for_nothing(
    world: AgentWorld,
    github: GitHub,
    new: str,
    values: dict[str, object],
) -> None:
    github.run(new, **values)
    found = world.run()
    assert found["result"] == "waiting" and "no run" in found["reason"] and world.runs == world.first


def test_the_newest_run_counts(world: AgentWorld, github: GitHub, new: str) -> None:
    github.run(new, conclusion="failure")
    github.run(new)
    assert world.run()["result"] == "deployed"


def test_of_two_workflows_both_must_be_green(world: AgentWorld, github: GitHub, new: str) -> None:
    world.settings(
        trust="checks", api=github.url, workflows="[.github/workflows/main.yml, .github/workflows/b.yml]"
    )
    github.run(new)
    assert world.run()["result"] == "waiting"
    github.run(new, path=".github/workflows/b.yml")
    assert world.run()["result"] == "deployed"


def test_what_waits_is_remembered_since_when(world: AgentWorld, github: GitHub, new: str) -> None:
    world.run()
    since = world.home.state()["waiting"]["since"]
    world.run()
    assert world.home.state()["waiting"] == {**world.home.state()["waiting"], "commit": new, "since": since}


WRONG_TOKENS = {
    "is missing": None,
    "it expired or was revoked": Token({"actions": "read"}, revoked=True),
    "HTTP 404": Token({"actions": "read"}, repositories=("owner/other",)),
    "HTTP 403": Token({"statuses": "write"}),
}


@pytest.mark.parametrize("message", WRONG_TOKENS)
def test_a_token_that_does_not_work_is_trouble_that_names_its_file(
    world: AgentWorld,
    github: GitHub,
    new: str,
    message: str,
) -> None:
    token = WRONG_TOKENS[message]
    if token:
        github.tokens[SECRET] = token
    else:
        world.home.key("github_token").unlink()
    github.run(new)
    found = world.run()
    assert found["result"] == "trouble" and message in found["reason"] and "github_token" in found["reason"]
    assert world.runs == world.first


def test_an_end_of_github_decides_nothing(world: AgentWorld, github: GitHub, new: str) -> None:
    github.run(new)
    github.down = True
    assert world.run()["result"] == "trouble" and world.runs == world.first
    github.down = False
    assert world.run()["result"] == "deployed"


@pytest.mark.parametrize("zone", ["UTC", "+0200"])
def test_when_a_token_ends_is_learnt_from_any_answer(
    world: AgentWorld,
    github: GitHub,
    new: str,
    zone: str,
) -> None:
    github.tokens[SECRET].expires = f"2027-02-01 12:00:00 {zone}"
    world.run()
    offset = timedelta(hours=0 if zone == "UTC" else 2)
    ends = (datetime(2027, 2, 1, 12, tzinfo=UTC) - offset).timestamp()
    assert world.home.state()["tokens"]["github_token"] == {"ends": ends, "wrong": ""}


def test_what_became_of_a_commit_stands_beside_it_at_github(
    world: AgentWorld,
    github: GitHub,
    new: str,
) -> None:
    reports(world, github)
    world.run()
    assert said(github, new) == ["pending"]
    world.run()
    github.run(new)
    world.run()
    world.run()
    assert said(github, new) == ["pending", "pending", "success"]
    assert {one["context"] for one in github.statuses[new]} == {"mail server"}


def test_why_a_commit_does_not_run_stands_beside_it_and_is_cut_to_what_fits(
    world: AgentWorld,
    github: GitHub,
) -> None:
    reports(world, github)
    bad = world.push(world.commit(CRASHES))
    github.commits.add(bad)
    github.run(bad)
    world.run()
    assert said(github, bad) == ["pending", "error"]
    text = github.statuses[bad][-1]["description"]
    assert text.startswith("rolled-back: its own mailctl ended") and len(text) <= 140


def test_red_checks_are_a_failure_beside_the_commit(world: AgentWorld, github: GitHub, new: str) -> None:
    reports(world, github)
    github.run(new, conclusion="failure")
    world.run()
    assert said(github, new) == ["failure"]


def test_what_could_not_be_said_is_said_at_the_next_run(
    world: AgentWorld,
    github: GitHub,
    new: str,
) -> None:
    reports(world, github)
    github.run(new)
    github.tokens[OTHER].revoked = True
    assert world.run()["result"] == "deployed" and said(github, new) == []
    assert "expired" in world.home.state()["tokens"]["github_status_token"]["wrong"]
    github.tokens[OTHER].revoked = False
    world.run()
    assert said(github, new) == ["success"]


def test_looking_after_what_runs_says_nothing_again_and_again(world: AgentWorld, github: GitHub) -> None:
    reports(world, github)
    github.commits.add(world.first)
    world.settings(trust="checks", api=github.url, heal="true")
    world.run()
    before = said(github, world.first)
    world.run()
    world.run()
    assert set(before) == {"success"} and said(github, world.first) == before


def test_without_the_second_token_nothing_is_said(world: AgentWorld, github: GitHub, new: str) -> None:
    github.run(new)
    world.run()
    assert github.statuses == {} and not [one for one in github.asked if one.startswith("POST")]


def test_a_ref_that_the_checks_move_is_waited_for(world: AgentWorld) -> None:
    new = world.push(world.commit(GOOD), checked=False)
    found = world.run()
    assert found["result"] == "waiting" and world.first[:12] in found["reason"]
    world.push(new)
    assert world.run()["result"] == "deployed"


@pytest.fixture
def signer(world: AgentWorld) -> tuple[str, ...]:
    """Git's options that sign with a key whom the host trusts."""
    world.settings(trust="signature")
    options = key(world.root / "signer")
    public = (world.root / "signer.pub").read_text()
    world.home.key("allowed_signers").write_text(f"x@example.com {public}")
    return options


def key(path: Path) -> tuple[str, ...]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return ("-c", "gpg.format=ssh", "-c", f"user.signingkey={path}", "-c", "commit.gpgsign=true")


def test_a_signature_of_somebody_who_is_trusted_is_enough(
    world: AgentWorld,
    signer: tuple[str, ...],
) -> None:
    new = world.push(world.commit(GOOD, "", "", *signer))
    assert world.run()["result"] == "deployed" and world.runs == new


def test_no_signature_refuses_a_commit(world: AgentWorld, signer: tuple[str, ...]) -> None:
    world.push(world.commit(GOOD))
    assert "signature" in world.run()["reason"] and world.runs == world.first


def test_a_signature_of_somebody_else_refuses_a_commit(
    world: AgentWorld,
    signer: tuple[str, ...],
) -> None:
    world.push(world.commit(GOOD, "", "", *key(world.root / "stranger")))
    assert world.run()["result"] == "refused" and world.runs == world.first


def test_an_older_signed_commit_that_is_replayed_is_refused(
    world: AgentWorld,
    signer: tuple[str, ...],
) -> None:
    old = world.push(world.commit(GOOD, "", "", *signer))
    world.run()
    new = world.push(world.commit(GOOD, "", "", *signer))
    world.run()
    world.push(old)
    assert "does not descend" in world.run()["reason"] and world.runs == new


def test_all_that_agent_yml_names_must_hold(
    world: AgentWorld,
    github: GitHub,
    signer: tuple[str, ...],
) -> None:
    world.settings(trust="signature, checks", api=github.url)
    new = world.push(world.commit(GOOD, "", "", *signer))
    assert world.run()["result"] == "waiting"
    github.run(new)
    assert world.run()["result"] == "deployed"


WRONG_SETTINGS = {
    "repository": ("owner", "owner/name"),
    "remote": ("--upload-pack=x", "an address"),
    "branch": ("-x", "name of a branch"),
    "api": ("file:///x", "an address"),
    "workflows": ("main.yml", "a list of paths"),
    "trust": ("[luck]", "checks, signature, ref"),
    "heal": ("perhaps", "true or false"),
}


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_a_wrong_line_of_agent_yml_is_named_with_what_it_should_be(world: AgentWorld, name: str) -> None:
    value, wanted = WRONG_SETTINGS[name]
    world.settings(trust="checks")
    path = world.home.root / "agent.yml"
    lines = [
        f"{name}: {value}" if line.startswith(f"{name}:") else line for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))
    with pytest.raises(Refused) as caught:
        load(world.home)
    [problem] = caught.value.problems
    assert problem.field == f"agent.yml: {name}" and wanted in problem.fix


def test_an_unknown_line_of_agent_yml_is_refused(world: AgentWorld) -> None:
    path = world.home.root / "agent.yml"
    path.write_text(f"{path.read_text()}trsut: [checks]\n")
    with pytest.raises(Refused, match="trsut"):
        load(world.home)
