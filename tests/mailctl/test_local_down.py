"""Around `mailctl local up`: ports, `info`, `down`, and `status --local`."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from local_stack import LOCAL, running, up

from mailctl.core.engine import Engine
from mailctl.core.local_stack import DEFAULTS

pytestmark = pytest.mark.usefixtures("local_stack")


@pytest.fixture
def busy(free_ports: dict[str, int]) -> Iterator[int]:
    """Another program listens on the sink's port."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", free_ports["LOCAL_SINK_PORT"]))
        other.listen()
        yield free_ports["LOCAL_SINK_PORT"]


def test_a_port_in_use_is_refused_before_anything_is_made(
    repo: Path, cli: Cli, docker: FakeDocker, busy: int
) -> None:
    result = cli("local", "up")
    assert result.exit_code == 1
    assert f"LOCAL_SINK_PORT = 127.0.0.1:{busy}" in result.stderr
    assert {path.name for path in (repo / ".local").iterdir()} == {".env"}
    assert not docker.calls_with("build") and not docker.calls_with("up")


def test_a_port_that_the_stack_itself_listens_on_is_no_obstacle(
    cli: Cli, engine: FakeEngine, busy: int
) -> None:
    ports = {"8025/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(busy)}]}
    mine = [*running()[:1], container("mailpit", LOCAL, ports=ports), *running()[2:]]
    engine.timeline = [mine]
    up(cli)


@pytest.mark.parametrize("bad", ["0", "65536", "-1", "eighty", "8025.0", "\uff18\uff10"])
def test_what_is_no_port_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch, bad: str) -> None:
    monkeypatch.setenv("LOCAL_WEB_PORT", bad)
    result = cli("local", "up")
    assert result.exit_code == 1
    assert "LOCAL_WEB_PORT" in result.stderr and "is not a port" in result.stderr


def test_one_port_for_two_things_is_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WEB_PORT", "4444")
    monkeypatch.setenv("LOCAL_API_PORT", "4444")
    assert "is the same port as LOCAL_WEB_PORT" in cli("local", "up").stderr


def test_the_default_ports_are_those_of_the_compose_file() -> None:
    assert sorted(DEFAULTS.values()) == [1465, 1587, 1993, 8000, 8025, 8080]


def test_info_before_the_first_up_names_the_command(cli: Cli) -> None:
    result = cli("local", "info")
    assert result.exit_code == 1
    assert "make local" in result.stderr


def test_down_removes_the_containers_and_keeps_the_state(repo: Path, cli: Cli, docker: FakeDocker) -> None:
    up(cli)
    assert cli("local", "down").exit_code == 0
    arguments = docker.calls_with("down")[0]["arguments"]
    assert "--volumes" not in arguments
    assert (repo / ".local/info.json").exists()


def test_down_with_volumes_asks_nobody_off_a_terminal_and_changes_nothing(
    repo: Path, cli: Cli, docker: FakeDocker
) -> None:
    up(cli)
    result = cli("local", "down", "--volumes")
    assert result.exit_code == 1
    assert "--yes" in result.stderr
    assert docker.calls_with("down") == [] and (repo / ".local/info.json").exists()


def test_down_with_volumes_and_yes_forgets_everything(repo: Path, cli: Cli, docker: FakeDocker) -> None:
    up(cli)
    assert cli("local", "down", "--volumes", "--yes").exit_code == 0
    assert "--volumes" in docker.calls_with("down")[0]["arguments"]
    assert not (repo / ".local").exists()


def test_files_of_container_users_are_deleted_by_a_container(
    repo: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a container wrote as its own user, an ordinary user cannot delete."""
    import shutil

    up(cli)
    emptied: list[str] = []
    really = shutil.rmtree

    def refuse_until_emptied(path: Path) -> None:
        if not emptied:
            raise PermissionError(13, "Permission denied", str(path))
        really(path)

    monkeypatch.setattr(shutil, "rmtree", refuse_until_emptied)
    monkeypatch.setattr(
        Engine, "remove_below", lambda _self, folder, image: emptied.append(f"{folder} {image}")
    )
    assert cli("local", "down", "--volumes", "--yes").exit_code == 0
    assert emptied == [f"{repo}/.local/ssd mariadb:11", f"{repo}/.local/hdd mariadb:11"]
    assert not (repo / ".local").exists()


def test_status_looks_at_the_local_stack_when_asked(repo: Path, cli: Cli, engine: FakeEngine) -> None:
    up(cli)
    document = json.loads(cli("status", "--local", "--json").stdout)
    assert (document["ok"], document["project"]) == (True, LOCAL)
    assert [disk["path"] for disk in document["disks"]] == [f"{repo}/.local/ssd", f"{repo}/.local/hdd"]


def test_a_look_at_a_local_stack_that_was_never_started_says_how_to_start_it(repo: Path, cli: Cli) -> None:
    result = cli("status", "--local")
    assert result.exit_code == 1
    assert "was never started" in result.stderr and "make local" in result.stderr
    assert not (repo / ".local").exists()
