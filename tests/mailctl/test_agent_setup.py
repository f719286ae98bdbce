"""What `make setup-host` installs of the agent: agent.yml, a first version, two launchers."""

import subprocess
from pathlib import Path

import pytest
from agent_world import STARTS_NOT, AgentWorld
from test_agent_run import environments, world  # noqa: F401 (fixtures)

from mailctl.agent import setup, versions
from mailctl.agent.settings import load
from mailctl.core.context import Context
from mailctl.core.output import Output
from mailctl.host import units


@pytest.fixture
def fresh(world: AgentWorld) -> Context:
    """A host without agent.yml and without a version; its repository is a clone of GitHub's."""
    (world.home.root / "agent.yml").unlink()
    (world.home.root / "current").unlink()
    world.git("remote", "set-url", "origin", "git@github.com:owner/mail.git", where=world.repo)
    return Context(world.repo, Output(), environ={})


def setting(context: Context, lines: str) -> None:
    context.env_path.write_text(context.env_path.read_text() + lines)


def test_everything_is_brought_once(world: AgentWorld, fresh: Context) -> None:
    assert len(setup.missing(fresh)) == 3
    setup.repair(fresh)
    assert setup.missing(fresh) == [] and world.home.version("current")


def test_agent_yml_follows_the_clone_and_asks_for_green_checks(world: AgentWorld, fresh: Context) -> None:
    setup.repair(fresh)
    found = load(world.home)
    assert found and (found.repository, found.remote) == ("owner/mail", "git@github.com:owner/mail.git")
    assert (found.branch, found.trust, found.heal) == ("main", ("checks",), False)


def test_what_the_operator_wrote_stays(world: AgentWorld, fresh: Context) -> None:
    setup.repair(fresh)
    path = world.home.root / "agent.yml"
    path.write_text(path.read_text().replace("trust: [checks]", "trust: [checks, signature]"))
    (world.home.root / "current").unlink()
    setup.repair(fresh)
    assert "checks, signature" in path.read_text()


def test_settings_of_before_are_taken_over(world: AgentWorld, fresh: Context) -> None:
    signers = world.root / "signers"
    signers.write_text("x@example.com ssh-ed25519 AAAA\n")
    world.git("config", "gpg.ssh.allowedSignersFile", str(signers), where=world.repo)
    setting(fresh, "DEPLOY_SIGNED=true\nDEPLOY_BRANCH=live\n")
    setup.repair(fresh)
    found = load(world.home)
    assert found and (found.branch, found.trust) == ("live", ("signature",))
    assert world.home.secret("allowed_signers") == signers.read_text().strip()


def test_with_ssh_githubs_workflow_has_waited_for_the_checks(world: AgentWorld, fresh: Context) -> None:
    fresh.env_path.write_text(fresh.env_path.read_text().replace("DEPLOY_METHOD=pull", "DEPLOY_METHOD=ssh"))
    setup.repair(fresh)
    found = load(world.home)
    assert found and found.trust == ()


def test_everything_in_the_folder_is_closed_to_others(world: AgentWorld, fresh: Context) -> None:
    setup.repair(fresh)
    root = world.home.root
    assert root.stat().st_mode & 0o077 == 0
    assert [
        path for path in (root / "agent.yml", root / "keys/known_hosts") if path.stat().st_mode & 0o077
    ] == []


def test_a_mailctl_that_crashes_ends_with_a_code_of_its_own(world: AgentWorld) -> None:
    crashing = versions.install(world.home, world.push_here(world.commit(STARTS_NOT)))
    done = subprocess.run([crashing / "bin/mailctl"], capture_output=True, text=True, check=False)
    assert done.returncode == 70 and "it does not start" in done.stderr


def version(root: Path, name: str, code: int) -> None:
    """A version that says its name and what it is asked for."""
    place = root / name / "bin" / "mailctl"
    place.parent.mkdir(parents=True)
    place.write_text(f'#!/bin/sh\necho "{name} $* $MAILCTL_REPO"\nexit {code}\n')
    place.chmod(0o755)


ENDS = {
    (0, 0): (0, ["current"]),
    (1, 0): (1, ["current"]),
    (70, 0): (0, ["current", "previous"]),
    (2, 1): (1, ["current", "previous"]),
}
ENDS |= {(137, 70): (70, ["current", "previous"])}


@pytest.mark.parametrize("codes", ENDS, ids=str)
def test_only_a_crash_has_the_version_before_try(codes: tuple[int, int], tmp_path: Path) -> None:
    place = units.Place(
        "mail", tmp_path / "it's a repo", tmp_path, tmp_path, "UTC", agent=tmp_path / "an agent"
    )
    for name, code in zip(("current", "previous"), codes, strict=True):
        version(place.home, name, code)
    (place.home / "run").write_text(units.launcher(place))
    done = subprocess.run(["sh", place.home / "run"], capture_output=True, text=True, check=False)
    code, names = ENDS[codes]
    assert done.returncode == code
    assert done.stdout.splitlines() == [f"{name} agent run {place.repo}" for name in names]


def test_who_may_not_read_the_agents_mailctl_gets_the_repositorys(tmp_path: Path) -> None:
    place = units.Place("mail", tmp_path / "repo", tmp_path, tmp_path, "UTC", agent=tmp_path / "agent")
    version(place.repo, ".venv", 0)
    (tmp_path / "mailctl").write_text(units.wrapper(place))
    command = ["sh", tmp_path / "mailctl", "status"]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.startswith(
        ".venv status"
    )
    version(place.home, "current", 0)
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout.startswith(
        "current status"
    )
