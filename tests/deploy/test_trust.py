"""A host that pulls takes only what GitHub says was checked, and what descends from what runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deploy.test_methods import AGENT, NGINX, agent
from tests.deploy.workflow import by_pull
from tests.github import GitHub, Server, Token

__all__ = ["agent"]
SECRET = "github_pat_that_reads"  # noqa: S105 (of the GitHub of this test)


@pytest.fixture
def github(lab, agent) -> Iterator[GitHub]:
    """A GitHub that the host asks about checks."""
    state = GitHub({SECRET: Token({"actions": "read"})})
    gateway = lab.target.shell("ip route show default | cut -d' ' -f3").strip()
    with Server(state, "0.0.0.0"):  # noqa: S104 (the host is a container)
        url = state.url.replace("0.0.0.0", gateway)  # noqa: S104
        kept = lab.target.shell(f"cat {AGENT}/agent.yml")
        rows = {"api": url, "repository": "owner/mail", "trust": "[checks]"}
        for name, value in rows.items():
            lab.target.shell(
                f"sed -i '/^{name}:/d' {AGENT}/agent.yml; echo '{name}: {value}' >>{AGENT}/agent.yml"
            )
        lab.target.console(f"umask 077; cat >{AGENT}/keys/github_token", stdin=SECRET)
        yield state
        lab.target.console(f"cat >{AGENT}/agent.yml", stdin=kept)


def pushed(lab, text: str) -> str:
    return lab.origin.change(text, [{"file": NGINX, "append": f"# {text}.\n"}])


def runs(lab) -> str:
    return lab.target.repo("git rev-parse HEAD").said.strip()


def test_a_commit_waits_for_its_checks_is_left_alone_when_they_are_red_and_the_next_green_one_deploys(
    lab, github
):
    running = pushed(lab, "Checks still run")
    run = github.run(running, status="in_progress", conclusion=None)
    job = by_pull(lab.target)
    assert not job.red and "wait" in job.said and runs(lab) == lab.good, job.said
    run |= {"status": "completed", "conclusion": "failure"}
    job = by_pull(lab.target)
    assert "failure" in job.said and runs(lab) == lab.good, job.said
    green = pushed(lab, "Checks are green")
    github.run(green)
    job = by_pull(lab.target)
    assert not job.red and runs(lab) == green, job.said
    lab.good = green


def test_what_does_not_descend_from_what_runs_is_left_alone_however_green_it_is(lab, github):
    older = lab.origin.parent(lab.good)
    lab.origin.back(older)
    github.run(older)
    replayed = by_pull(lab.target)
    assert "descend" in replayed.said and runs(lab) == lab.good, replayed.said
    beside = pushed(lab, "Another history")
    github.run(beside)
    job = by_pull(lab.target)
    assert "descend" in job.said and runs(lab) == lab.good, job.said
    lab.origin.back(lab.good)
    green = pushed(lab, "Descends again")
    github.run(green)
    job = by_pull(lab.target)
    assert not job.red and runs(lab) == green, job.said
    lab.good = green
