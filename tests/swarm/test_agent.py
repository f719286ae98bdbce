"""What the agent carries out, on the whole server: mail waits on every host, canaries, the way back."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.stack.stack import run
from tests.swarm.conftest import PREFIX
from tests.swarm.engines import SSD
from tests.swarm.server import Server, running

pytestmark = pytest.mark.skipif(os.environ.get("SWARM") != "all", reason="a part of the series: make soak")
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com")
MAIN = "config/postfix/main.cf"


@pytest.fixture(scope="module")
def server(images, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(f"{PREFIX}-agent", tmp_path_factory.mktemp("agent")) as found:
        with (found.repo / ".env").open("a") as file:
            file.write("CANARY_SECONDS=30\n")
        run(*GIT, "init", "-q", cwd=found.repo)
        yield found


def commit(server: Server, line: str) -> str:
    """A commit that adds a line to Postfix's settings."""
    with (server.repo / MAIN).open("a") as file:
        file.write(f"{line}\n")
    run(*GIT, "add", "--all", cwd=server.repo)
    run(*GIT, "commit", "-q", "-m", line, cwd=server.repo)
    return run(*GIT, "rev-parse", "HEAD", cwd=server.repo).strip()


def held(server: Server) -> list[str]:
    """What is left of holding on any host."""
    return [host.name for host in server.hosts if host.shell(f"find {SSD}/hold -type f")]


def test_a_commit_is_tried_while_mail_waits_on_every_host_and_a_lost_canary_takes_it_back(
    server: Server,
) -> None:
    first = server.hosts[0]
    good = commit(server, "# a change")
    document = server.mailctl(first, "agent", "carry-out", good)
    assert document["result"] == "deployed" and document["held"]["services"] == ["postfix"], document
    assert "not held" not in document["held"]["why"] and held(server) == []
    assert all(each["ok"] for each in document["canaries"]), document["canaries"]
    bad = commit(server, "smtpd_recipient_restrictions = reject")
    document = server.mailctl(first, "agent", "carry-out", bad, ok=False)
    assert document["result"] == "rolled-back" and "canary" in document["reason"], document
    assert held(server) == [] and server.whole(first)
    names = first.docker("config", "ls", "--format", "{{.Name}}").split()
    assert not [name for name in names if name.endswith((".deployment", ".holding"))]
    assert server.mailctl(server.hosts[1], "history")["deployments"][0]["ref"] == bad
