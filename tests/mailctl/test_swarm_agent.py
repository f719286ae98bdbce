"""Deployments on several hosts: one at a time, by the leader, carried to an end wherever one breaks off."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_swarm import HOSTS, FakeSwarm, Stopped
from fakes import FakeDocker
from swarm_world import World

from mailctl.agent import beside, supervise
from mailctl.agent.home import Home
from mailctl.agent.run import run
from mailctl.agent.settings import Settings
from mailctl.agent.supervise import Agent
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.deploy import checks, work
from mailctl.deploy.shared import Shared
from mailctl.swarm import converge, docker, jobs, kept

PAST = "2026-01-01T00:00:00.123456789Z"


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch) -> FakeSwarm:
    fake = FakeSwarm()
    monkeypatch.setattr(docker, "run", fake.run)
    for module, name, value in ((converge, "POLL_SECONDS", 0.001), (converge, "PATIENCE", 0.05)):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(checks, "check", lambda *_: None)
    return fake


@pytest.fixture
def world(tmp_path: Path, repo: Path, docker: FakeDocker, swarm: FakeSwarm) -> World:
    """The first commit runs well; mail1 leads."""
    made = World(tmp_path, repo, docker, swarm)
    document = made.deploy(made.first)
    assert document["result"] == "deployed", document["reason"]
    return made


def test_the_first_deployment_holds_nothing_and_says_what_runs_in_the_swarm(world: World) -> None:
    assert world.swarm.jobs == [] and world.calm
    assert [one.ref for one in world.host().records.points()] == [world.first]
    assert world.host().records.history()[0]["host"] == "mail1"


def test_mail_is_held_on_every_host_before_a_service_changes_and_released_after_the_canaries(
    world: World,
) -> None:
    world.swarm.calls.clear()
    document = world.deploy(world.commit())
    assert document["result"] == "deployed" and document["held"]["services"] == ["postfix"]
    assert [name for name, _ in world.swarm.jobs] == ["hold-on", "hold-off"] and world.calm
    told = json.loads(world.swarm.jobs[0][1]["HOLD"].replace("$$", "$"))
    assert set(told) == {"since", "pass"} and "HOLD" in world.swarm.jobs[0][1]["CHECKS"]
    deployed = [number for number, call in enumerate(world.swarm.calls) if call[:2] == ("stack", "deploy")]
    assert len(deployed) == 4, "the job that holds, two waves, the job that releases"


def test_what_cannot_change_how_mail_goes_holds_nothing_and_the_same_commit_does_nothing(
    world: World,
) -> None:
    world.commit()
    (world.repo / "usermgmt").write_text("only this")
    world.git("checkout", "-q", world.first, "postfix")
    world.git("add", "--all")
    world.git("commit", "-q", "--amend", "-m", "accounts only")
    commit = world.git("rev-parse", "HEAD")
    assert world.deploy(commit)["held"] is None and world.swarm.jobs == []
    before = len(world.host().records.history())
    assert world.deploy(commit)["result"] == "unchanged" and len(world.host().records.history()) == before


def test_a_lost_canary_takes_the_whole_stack_back_and_every_manager_knows(world: World) -> None:
    before, bad = world.reads(), world.commit()
    world.lost = [True]
    document = world.deploy(bad)
    assert document["result"] == "rolled-back" and document["bad"] == bad
    assert "canary mail: no answer" in document["reason"] and "runs again" in document["reason"]
    assert world.reads() == before and world.calm
    assert kept.results("m")[0]["bad"] == bad
    assert [one.ref for one in world.host().records.points()] == [world.first]


def test_mail_stays_on_hold_while_not_even_the_old_stack_is_known_to_work(world: World) -> None:
    world.lost = [True, True]
    document = world.deploy(world.commit())
    assert "stays on hold" in document["reason"] and kept.held("m") and kept.current("m") is None
    world.git("reset", "-q", "--hard", world.first)
    assert world.deploy(world.first)["result"] == "deployed" and world.calm


def test_a_migration_runs_once_before_what_needs_it_and_its_failure_puts_the_tables_back(
    world: World,
) -> None:
    world.tables.known = ("1", "2")
    assert world.deploy(world.commit())["result"] == "deployed"
    names = [name for name, _ in world.swarm.jobs]
    assert names == ["hold-on", "migrate", "hold-off"]
    assert world.swarm.jobs[1][1]["DB_USER"] == "mailserver"
    world.swarm.jobs_fail_on = {"mail1"}
    document = world.deploy(world.commit())
    assert document["result"] == "rolled-back" and "migration" in document["reason"]
    assert len(world.tables.restored) == 1


def test_a_host_that_cannot_hold_mail_is_told_and_keeps_no_repair_away(world: World) -> None:
    world.swarm.jobs_fail_on = {"mail3"}
    document = world.deploy(world.commit())
    assert document["result"] == "deployed" and "mail3" in document["held"]["why"]
    assert "mail is still held" in document["reason"] and kept.held("m")
    world.swarm.jobs_fail_on = set()
    assert world.deploy(world.git("rev-parse", "HEAD"))["result"] == "deployed" and world.calm


def test_two_hosts_never_deploy_at_once_and_a_dead_ones_turn_is_taken_over(world: World) -> None:
    commit = world.commit()
    with kept.taken("m", "mailctl swarm deploy", commit) as first:
        world.swarm.here = "mail2"
        with pytest.raises(Refused, match="mailctl swarm deploy on mail1"):
            world.deploy(commit)
        world.swarm.leads("mail2", dead="mail1")
        with kept.taken("m", "mailctl deploy", commit) as second:
            assert second.attempts == 2
            with pytest.raises(kept.Lost, match="mail2"):
                first.check()
        world.swarm.leads("mail1")


def test_of_two_that_take_over_the_same_turn_one_gets_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = kept.Turn("m", "m.deployment#0", "mail3", "mailctl deploy", "c", 1, 0.0)
    real = kept.current
    with kept.taken("m", "mailctl deploy", "c"):
        seen = iter([stale])
        monkeypatch.setattr(kept, "current", lambda stack: next(seen, None) or real(stack))
        with pytest.raises(Refused, match="is changing it"), kept.taken("m", "mailctl deploy", "c"):
            raise AssertionError("there are two")


def test_whichever_call_the_leader_dies_at_the_next_one_carries_it_to_an_end(world: World) -> None:
    swarm, ends = world.swarm, set()
    for number in range(1, 400, 1 if os.environ.get("SWARM") == "all" else 17):
        commit = world.commit()
        swarm.calls.clear()
        swarm.fails_at = number, Stopped()
        try:
            document = world.deploy(commit)
        except Stopped:
            document = {}
        swarm.fails_at = None
        if document and len(swarm.calls) < number:
            break
        # Its host is down while another one takes its turn over, and back before that changes anything.
        found = kept.current("m")
        swarm.leads(HOSTS[number % 2 + 1], dead=found.host if found else "")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mailctl.swarm.preflight.swarm", lambda *_: ())
            document = world.undo(commit) if number % 2 and found else world.deploy(commit)
        swarm.leads("mail1")
        ends.add(document["result"])
        runs = [one.ref for one in world.host().records.points()]
        assert world.calm, (number, swarm.calls[-1])
        assert (runs == [commit]) == (document["result"] in ("deployed", "unchanged")), (number, document)
    assert number > 40 and {"deployed", "rolled-back"} <= ends


# ---- the agent


@pytest.fixture
def agent(world: World, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """The agent of the host that is asked; what it has done by a commit's mailctl happens here."""
    context = Context(world.repo, Output(as_json=True))
    home = Home.of(context)
    home.root.mkdir()
    settings = Settings("o/m", "origin", trust=("ref",))
    made = Agent(context, home, settings, Shared.of(context), SimpleNamespace(status=None))  # type: ignore[arg-type]

    def carry_out(_mailctl: object, _agent: object, commit: str, *words: str) -> tuple[int, Any, str]:
        try:
            document = world.undo(commit) if "--undo" in words else world.deploy(commit)
        except Refused as refusal:
            document = {"ok": False, "problems": [each.as_dict() for each in refusal.problems]}
        return (0 if document["ok"] else 1), document, ""

    monkeypatch.setattr(supervise, "carry_out", carry_out)
    monkeypatch.setattr(supervise, "_rehearse", lambda *_: None)
    for name in ("install", "promote"):
        monkeypatch.setattr(f"mailctl.agent.versions.{name}", lambda *_: Path("version"))
    newest = lambda *_: world.git("rev-parse", "main")  # noqa: E731
    monkeypatch.setattr("mailctl.agent.run.fetch", newest)
    monkeypatch.setattr("mailctl.agent.run.judge", lambda *_: None)
    return made


def test_only_the_leader_deploys_and_the_others_get_what_runs(world: World, agent: Agent) -> None:
    commit = world.commit()
    world.git("checkout", "-q", "--detach", world.first)
    world.swarm.leads("mail2")
    world.swarm.here = "mail1"
    found = run(agent)
    assert found["result"] == "unchanged" and found["reason"] == "mail2 leads, and deploys"
    assert [one.ref for one in agent.records.points()] == [world.first]
    world.swarm.here = "mail2"
    assert run(agent)["result"] == "deployed" and [one.ref for one in agent.records.points()] == [commit]
    world.git("checkout", "-q", "--detach", world.first)
    world.swarm.here = "mail3"
    assert run(agent)["result"] == "unchanged" and world.git("rev-parse", "HEAD") == commit
    world.swarm.here = "worker"
    assert beside.WORKS_ONLY in run(agent)["reason"]


def test_a_commit_that_another_leader_rolled_back_is_left_alone(world: World, agent: Agent) -> None:
    world.commit()
    world.lost = [True]
    assert run(agent)["result"] == "rolled-back"
    world.swarm.leads("mail3")
    agent.home.remember(refused=None)
    assert "was rolled back" in run(agent)["reason"] and world.calm


def test_while_a_host_is_down_a_commit_waits_and_says_so(world: World, agent: Agent) -> None:
    commit = world.commit()
    world.swarm.leads("mail1", dead="mail3")
    found = run(agent)
    assert found["result"] == "waiting" and "mail3 is down" in found["reason"]
    assert agent.home.state()["waiting"]["commit"] == commit
    world.swarm.leads("mail1")
    assert run(agent)["result"] == "deployed"


def test_a_host_that_was_down_when_mail_was_released_is_released_when_it_is_back(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailctl.swarm.preflight.swarm", lambda *_: ())
    world.swarm.leads("mail1", dead="mail3")
    world.deploy(world.commit())
    assert kept.late("m") == {"mail3"} and world.calm
    run(agent)
    assert [name for name, _ in world.swarm.jobs] == ["hold-on", "hold-off"], "it is not back yet"
    world.swarm.leads("mail1")
    run(agent)
    assert [name for name, _ in world.swarm.jobs][2:] == ["hold-off"] and not kept.late("m")


def test_the_look_of_the_leader_alone_starts_what_the_engine_forgot(
    world: World, agent: Agent, capsys: Any
) -> None:
    service = world.swarm.services["m_postfix"]
    service["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": ["node.labels.mail.shard==c"]}
    waits = {"Status": {"State": "pending", "Err": "no suitable node"}, "NodeID": "", "CreatedAt": PAST}
    service["tasks"] = [service["tasks"][0] | waits]
    for node in world.swarm.nodes:
        node["UpdatedAt"] = PAST
    force = ("service", "update", "--detach", "--force", "m_postfix")
    world.swarm.here = "mail2"
    run(agent)
    assert force not in world.swarm.calls
    world.swarm.here = "mail1"
    with agent.records.locked("mailctl swarm deploy"):
        beside.start_forgotten(agent.records, agent.context)
    assert force not in world.swarm.calls and "are not started" in capsys.readouterr().err
    assert run(agent)["result"] == "unchanged"
    assert world.swarm.calls.count(force) == 1 and "started postfix again" in capsys.readouterr().err
    assert run(agent)["result"] == "unchanged" and world.swarm.calls.count(force) == 1 and world.calm


def test_the_next_leader_finishes_what_the_dead_one_began_and_takes_it_back_the_second_time(
    world: World, agent: Agent
) -> None:
    commit = world.commit()
    world.swarm.leads("mail2")
    for attempts, result in ((2, "rolled-back"), (1, "deployed")):
        broken = {"host": "mail2", "what": kept.DEPLOYS, "commit": commit, "attempts": attempts, "at": 0.0}
        kept._write("m", kept.TURN, broken, "m.deployment")
        agent.home.remember(trying=None, refused=None)
        found = supervise.resume(agent)
        assert found and found["result"] == result, found
        assert world.calm and agent.home.state().get("trying") is None


def test_what_this_host_was_trying_before_it_died_is_forgotten_once_another_has_ended_it(
    world: World, agent: Agent
) -> None:
    agent.home.remember(trying={"commit": world.commit(), "attempts": 1})
    world.swarm.leads("mail2")
    world.swarm.here = "mail1"
    assert supervise.resume(agent) is None and agent.home.state().get("trying") is None


def test_another_manager_with_other_secrets_does_not_exchange_them_by_chance(world: World) -> None:
    (world.repo / "secrets" / "owner").write_text("of mail2 alone")
    world.swarm.leads("mail2")
    document = world.deploy(world.commit())
    assert document["result"] == "refused" and "mail1, which deployed last" in document["reason"]
    world.swarm.leads("mail1")
    assert world.deploy(world.git("rev-parse", "HEAD"))["result"] == "deployed"


def test_a_plan_says_what_a_commit_changes_and_changes_nothing(world: World, capsys: Any) -> None:
    commit = world.commit()
    world.fake.answer("config", world.fake._answers[1]["stdout"].replace("/stage/", "/dry-run/"))
    world.swarm.calls.clear()
    work.show_plan(world.host(), commit)
    told = json.loads(capsys.readouterr().out)
    assert [each["service"] for each in told["recreate"]] == ["postfix", "usermgmt"]
    assert not [call for call in world.swarm.calls if call[1] in ("create", "rm", "deploy")]
