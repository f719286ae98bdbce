"""`mailctl agent run`: what it deploys, what it does not, and that the next good commit repairs it."""

import json
import os
import tempfile
from pathlib import Path

import pytest
from agent_world import CRASHES, GOOD, ROLLS_BACK, STARTS_NOT, AgentWorld
from conftest import Cli
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailctl.agent import versions
from mailctl.agent.home import Home
from mailctl.agent.versions import name_of
from mailctl.core.errors import Refused

EXAMPLES = int(os.environ.get("AGENT_EXAMPLES", "4"))
NOWHERE = "nosuch @ file:///nowhere/nosuch-1-py3-none-any.whl --hash=sha256:" + "0" * 64


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment of commits that require nothing, made once."""
    root = tmp_path_factory.mktemp("environments")
    versions._environment(Home(root, root), b"")
    return root / "envs"


@pytest.fixture
def world(tmp_path: Path, environments: Path) -> AgentWorld:
    root = tmp_path / "world"
    root.mkdir()
    return AgentWorld(root, environments)


def good_one_follows(world: AgentWorld) -> None:
    """After anything, a good commit that descends from what runs is deployed by the timer alone."""
    world.back()
    commit = world.push(world.commit(GOOD))
    found = [world.run() for _ in range(3)]
    assert world.runs == commit, found
    assert found[-1]["ok"] and world.home.version("current") == world.home.root / "versions" / name_of(
        {"mailctl": world.git("rev-parse", f"{commit}:platform/mailctl"), "": ""}
    )


def test_the_first_deployment_by_hand_installs_its_own_version(world: AgentWorld) -> None:
    assert world.runs == world.first and world.home.version("current")


def test_a_new_commit_is_deployed_by_its_own_mailctl_which_is_the_last_good_one_then(
    world: AgentWorld,
) -> None:
    before = world.home.version("current")
    commit = world.push(world.commit(GOOD))
    assert world.run()["result"] == "deployed" and world.runs == commit
    assert world.home.version("previous") == before != world.home.version("current")


def test_the_same_commit_is_left_alone(world: AgentWorld) -> None:
    assert world.run()["result"] == "unchanged" and len(world.history) == 1


def test_only_with_heal_is_the_same_commit_deployed_again(world: AgentWorld) -> None:
    (world.root / "live").write_text("by hand")
    world.run()
    assert world.runs == "by hand"
    world.settings(heal="true")
    assert world.run()["result"] == "deployed" and world.runs == world.first


@pytest.mark.parametrize("kind", [STARTS_NOT, CRASHES, ROLLS_BACK])
def test_what_a_commit_breaks_is_taken_back_and_the_next_one_deploys_without_a_hand(
    world: AgentWorld, kind: str
) -> None:
    bad = world.push(world.commit(kind))
    found = world.run()
    assert not found["ok"] and world.runs == world.first, found
    assert world.history[0]["ref"] == bad
    assert world.run()["result"] == "unchanged", "it is not tried again"
    good_one_follows(world)


def test_a_crash_while_it_deploys_says_what_crashed(world: AgentWorld) -> None:
    world.push(world.commit(CRASHES))
    found = world.run()
    assert found["result"] == "rolled-back" and "a typo that only shows now" in found["reason"]


def test_a_dependency_that_does_not_install_refuses_the_commit_in_one_sentence(world: AgentWorld) -> None:
    world.push(world.commit(GOOD, NOWHERE))
    found = world.run()
    assert found["result"] == "refused" and "dependency" in found["reason"], found
    assert "does not install" in found["reason"] and world.runs == world.first
    good_one_follows(world)


def test_a_new_dependency_is_there_before_the_commit_needs_it(
    world: AgentWorld, wheel: tuple[str, str]
) -> None:
    commit = world.push(world.commit(GOOD, wheel[0], f"import {wheel[1]}"))
    assert world.run()["result"] == "deployed" and world.runs == commit


@pytest.fixture
def wheel(tmp_path: Path) -> tuple[str, str]:
    """A line of requirements, and the module that it brings."""
    import hashlib
    import zipfile

    path = tmp_path / "brought-1-py3-none-any.whl"
    meta = "brought-1.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("brought.py", "")
        file.writestr(f"{meta}/METADATA", "Metadata-Version: 2.1\nName: brought\nVersion: 1\n")
        file.writestr(f"{meta}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{meta}/RECORD", f"brought.py,,\n{meta}/METADATA,,\n{meta}/WHEEL,,\n{meta}/RECORD,,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"brought @ file://{path} --hash=sha256:{digest}", "brought"


def test_half_an_environment_is_never_used(world: AgentWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    real = versions._call

    def killed(what: str, *words: str | Path) -> None:
        real(what, *words)
        raise KeyboardInterrupt

    commit = world.push(world.commit(GOOD, "# another environment"))
    monkeypatch.setattr(versions, "_call", killed)
    with pytest.raises(KeyboardInterrupt):
        world.run()
    monkeypatch.setattr(versions, "_call", real)
    assert world.run()["result"] in ("deployed", "unchanged") and world.runs == commit


def test_a_commit_that_does_not_descend_from_what_runs_is_refused_once(world: AgentWorld) -> None:
    new = world.push(world.commit(GOOD))
    world.run()
    world.git("reset", "-q", "--hard", world.first)
    world.push(world.commit(GOOD))
    found = world.run()
    assert found["result"] == "refused" and "does not descend" in found["reason"] and world.runs == new
    entries = len(world.history)
    assert world.run()["result"] == "unchanged" and len(world.history) == entries


def test_an_older_commit_that_was_pushed_by_force_is_refused(world: AgentWorld) -> None:
    new = world.push(world.commit(GOOD))
    world.run()
    world.push(world.first)
    assert "does not descend" in world.run()["reason"] and world.runs == new


def test_a_person_on_the_console_may_go_back_to_an_older_commit(world: AgentWorld) -> None:
    world.push(world.commit(GOOD))
    world.run()
    assert world.by_hand(world.first)["result"] == "deployed" and world.runs == world.first


def test_an_unreachable_repository_is_trouble_and_no_look(world: AgentWorld) -> None:
    world.run()
    ran = world.home.state()["ran"]
    world.origin.rename(world.root / "away")
    found = world.run()
    assert found["result"] == "trouble" and found["ok"]
    assert world.home.state()["ran"] == ran and "cannot be fetched" in world.home.state()["trouble"]


def test_without_any_trust_nothing_is_pulled(world: AgentWorld) -> None:
    world.settings(trust="")
    with pytest.raises(Refused, match="trust"):
        world.run()


def test_while_somebody_deploys_the_timer_does_nothing(world: AgentWorld) -> None:
    with world.agent().records.locked("mailctl rollback"):
        assert world.run()["result"] == "busy"


def test_while_the_console_deploys_the_timer_does_nothing(world: AgentWorld, cli: Cli) -> None:
    with world.home.locked("mailctl deploy"):
        done = cli("agent", "run", "--repo", world.repo, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["result"] == "busy"


def test_the_run_of_the_timer_prints_what_became_of_it(world: AgentWorld, cli: Cli) -> None:
    world.push(world.commit(CRASHES))
    done = cli("agent", "run", "--repo", world.repo, "--json")
    assert done.exit_code == 1 and json.loads(done.stdout)["result"] == "rolled-back"


def test_old_versions_and_environments_go(world: AgentWorld) -> None:
    for _ in range(versions.KEPT + 2):
        world.push(world.commit(GOOD))
        world.run()
    assert len(list((world.home.root / "versions").iterdir())) == versions.KEPT


def test_a_newer_journal_is_undone_by_an_older_version(world: AgentWorld) -> None:
    folder = world.root / "ssd/.mailctl/deploy"
    document = {
        "id": "1",
        "target": {"ref": "a", "colour": 1},
        "before": None,
        "phase": "switching",
        "shape": 2,
    }
    (folder / "journal.json").write_text(json.dumps(document))
    journal = world.agent().records.journal()
    assert journal and journal.target.ref == "a"


def test_an_agent_killed_at_each_step_goes_on_at_the_next_run(world: AgentWorld) -> None:
    for step in range(1, 40):
        commit = world.push(world.commit(GOOD))
        dead = world.killed(step)
        world.run()
        if not dead:
            break
        assert world.runs == commit, step
        world.run()
    assert step > 8


class Agent(RuleBasedStateMachine):
    """Commits of all kinds, kills at any moment, runs of the timer: what runs is trusted and descends."""

    environments: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = AgentWorld(Path(self.folder.name), self.environments)
        self.trusted, self.ran = {self.world.first}, self.world.first

    @rule(kind=st.sampled_from([GOOD, GOOD, STARTS_NOT, CRASHES, ROLLS_BACK]), checked=st.booleans())
    def push(self, kind: str, checked: bool) -> None:
        commit = self.world.push(self.world.commit(kind), checked)
        if checked:
            self.trusted.add(commit)

    @rule()
    def push_what_does_not_install(self) -> None:
        self.trusted.add(self.world.push(self.world.commit(GOOD, NOWHERE)))

    @precondition(lambda self: self.world.runs != self.world.first)
    @rule()
    def push_what_does_not_descend(self) -> None:
        self.world.git("reset", "-q", "--hard", self.world.first)
        self.trusted.add(self.world.push(self.world.commit(GOOD)))

    @rule()
    def runs(self) -> None:
        self.world.run()

    @rule(step=st.integers(1, 14))
    def is_killed(self, step: int) -> None:
        self.world.killed(step)

    @invariant()
    def what_runs_is_trusted_and_descends_from_what_ran(self) -> None:
        settled = next(one["state"]["ref"] for one in self.world.history if one.get("state"))
        assert settled in self.trusted
        self.world.git("merge-base", "--is-ancestor", self.ran, settled)
        self.ran = settled

    def teardown(self) -> None:
        good_one_follows_all(self.world)
        self.folder.cleanup()


def good_one_follows_all(world: AgentWorld) -> None:
    world.run()
    world.run()
    good_one_follows(world)


@pytest.mark.series
def test_after_anything_a_good_commit_is_deployed_without_a_hand(environments: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    Agent.environments = environments
    manners = {"deadline": None, "suppress_health_check": list(HealthCheck), "stateful_step_count": 8}
    run_state_machine_as_test(Agent, settings=settings(max_examples=EXAMPLES, **manners))
