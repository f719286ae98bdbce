"""`mailctl drill` with a Docker that does what it is told; tests/stack does it for real."""

import json
import os
import random

import pytest
from fakes import FakeDocker
from restore_scene import tree
from test_restore import Server, _killed
from test_restore import server as server  # a fixture

from mailctl.backup import learned

DRILL = ("drill", "--local-only", "--json")
KILLS = max(10, int(os.environ.get("KILL_MOMENTS", "10")) // 3)


@pytest.fixture(autouse=True)
def schema(server: Server, docker: FakeDocker) -> None:
    """The tables that the scratch database begins with, and what its Valkey says."""
    path = server.repo / "config/mariadb/initdb/20-schema.sql"
    path.parent.mkdir(parents=True)
    path.write_text("-- Running upgrade 0 -> 0001\nSQL of 1;\n")
    docker.answer(learned.KEYS, "12\n")


def test_a_drill_passes_and_leaves_nothing_behind(server: Server, docker: FakeDocker) -> None:
    done = server.cli(*DRILL)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["drills"][0]["snapshot"] == server.snapshot.id
    assert "restoring daily/2026-11-20 needs" in done.stderr
    assert not (server.hdd / ".mailctl" / "drill").exists() and server.live() == server.before


def test_a_drill_without_room_says_so_before_it_reads_anything(
    server: Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESERVE_GIB", "1000000")
    done = server.cli(*DRILL)
    assert done.exit_code == 1 and "comparing" not in done.stderr
    assert not docker.calls_with("up")


@pytest.mark.series
def test_a_drill_killed_at_any_moment_harms_nothing_and_the_next_one_clears_up(server: Server) -> None:
    moments, kept = random.Random(30), tree(server.snapshot.path)  # noqa: S311
    whole = _killed(server, 60, *DRILL)
    for _ in range(KILLS):
        _killed(server, moments.uniform(0, whole), *DRILL)
        assert server.live() == server.before and tree(server.snapshot.path) == kept
    done = server.cli(*DRILL)
    assert done.exit_code == 0, done.output
    assert not (server.hdd / ".mailctl" / "drill").exists()
