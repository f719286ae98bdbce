"""`mailctl preflight`: each line fails for its own reason, and says what to do about it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_runtime import World

from mailctl.core.runtime import Service
from mailctl.core.schema import CONTRACTS
from mailctl.deploy import preflight


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path / "world")
    world.commit(postfix="one")
    secrets = world.repo / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "postfix_db_password").write_text("x" * 32)
    return world


def mounting(*paths: Path, **raw: object) -> dict[str, Service]:
    return {"postfix": Service("postfix", "x", "", tuple((path, "/x") for path in paths), raw=dict(raw))}


def mark(world: World, services: dict[str, Service], name: str) -> tuple[str, str]:
    """The mark of a line, and what was found."""
    [line] = [one for one in preflight.run(world.host(), services) if one.name.startswith(name)]
    assert line.mark == "ok" or line.fix
    return line.mark, line.found


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_host_that_is_ready_has_no_line_that_failed(world: World) -> None:
    services = mounting(world.repo / "secrets" / "postfix_db_password")
    failed = [line for line in preflight.run(world.host(), services) if line.mark == "failed"]
    assert failed == []


def test_a_secret_that_a_commit_wants_and_nobody_made_is_named(world: World) -> None:
    path = world.repo / "secrets" / "new_secret"
    assert mark(world, mounting(path), "secrets") == ("failed", "new_secret of postfix is missing")
    path.touch()
    assert mark(world, mounting(path), "secrets") == ("failed", "new_secret of postfix is empty")
    optional = world.repo / "secrets" / "relay_password"
    optional.touch()
    assert mark(world, mounting(optional), "secrets")[0] == "ok"


def test_mailboxes_that_would_lie_elsewhere_are_named(world: World) -> None:
    world.moved["mail_data"] = ("/mnt/hdd/mailboxes", "/mnt/hdd/mail")
    assert mark(world, {}, "volumes") == (
        "failed",
        "mail_data lies in /mnt/hdd/mailboxes, and is /mnt/hdd/mail now",
    )


@pytest.mark.parametrize("line", ["look:\n  docker ps\n", "ifdef X\n", "include nowhere.mk\n"])
def test_a_makefile_that_make_cannot_read_is_named(world: World, line: str) -> None:
    (world.repo / "Makefile").write_text("deploy verify:\n\t@true\n")
    assert mark(world, {}, "Makefile")[0] == "ok"
    (world.repo / "Makefile").write_text(f"deploy verify:\n\t@true\n{line}")
    assert mark(world, {}, "Makefile")[0] == "failed"


def test_a_port_of_another_program_is_named(world: World, taken: int) -> None:
    ports = [{"published": str(taken), "host_ip": "127.0.0.1"}]
    assert mark(world, mounting(ports=ports), "ports") == (
        "failed",
        f"taken by another program: {taken} (postfix)",
    )


@pytest.mark.parametrize("setting", ["SSD_PATH", "HDD_PATH"])
def test_a_full_disk_fails(world: World, setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "ROOM", 1 << 60)
    assert mark(world, {}, f"disk {setting}")[0] == "failed"


def test_too_little_memory_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "FIRST_MEMORY", 1 << 60)
    assert mark(world, {}, "memory")[0] == "failed"


def test_a_clock_before_the_last_deployment_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.host().records.add("1", {"result": "refused", "at": 9e9})
    assert mark(world, {}, "clock")[0] == "failed"


def test_no_backup_and_no_way_back_are_warnings(world: World) -> None:
    assert mark(world, {}, "backup")[0] == mark(world, {}, "roll-back point")[0] == "warning"


def test_alarms_need_a_way_that_is_not_this_server(world: World) -> None:
    assert mark(world, {}, "alarms")[0] == "warning"
    (world.repo / "edge").mkdir()
    (world.repo / "edge/edge.yml").write_text("worker: {alarms: {to: ada@elsewhere.example}}\n")
    assert mark(world, {}, "alarms") == ("ok", "leave by the Worker's mail")
    (world.repo / "secrets/alarm_urls").write_text("# none yet\n")
    assert mark(world, {}, "alarms") == ("ok", "leave by the Worker's mail")
    (world.repo / "secrets/alarm_urls").write_text("ntfys://ntfy.sh/a-name\n")
    assert mark(world, {}, "alarms") == ("ok", "leave by alarm_urls and the Worker's mail")


def test_a_variable_that_is_missing_is_named(world: World) -> None:
    env = world.repo / ".env"
    env.write_text(env.read_text().replace("MAIL_DOMAIN", "OTHER"))
    assert mark(world, {}, "variables") == ("failed", "not set: MAIL_DOMAIN")


@pytest.mark.parametrize(
    ("address", "runs", "known", "said"),
    [
        ("ada@elsewhere.example", False, "", ("ok", "ada@elsewhere.example, outside this server")),
        ("ada@elsewhere.example", True, "", ("ok", "ada@elsewhere.example, outside this server")),
        ("ada@example.com", False, "", ("warning", "ada@example.com is on this server")),
        ("ada@example.com", True, "served received", ("warning", "ada@example.com is on this server")),
        ("ada+x@example.com", True, "served received", ("warning", "ada+x@example.com is on this server")),
        ("ada@second.example", True, "served received", ("warning", "ada@second.example is on this server")),
        ("ada@example.com", True, "served", ("failed", "nobody gets mail for ada@example.com")),
    ],
)
def test_alarms_go_to_somebody_who_reads_them_elsewhere(
    world: World, monkeypatch: pytest.MonkeyPatch, address: str, runs: bool, known: str, said: tuple[str, str]
) -> None:
    env = world.repo / ".env"
    env.write_text(env.read_text().replace("a@example.com", address))
    host = world.host()
    asked: list[tuple[str, ...]] = []

    def inside(service: str, words: tuple[str, ...], stdin: str = "", limit: float = 60) -> str:
        asked.append((service, *words[-2:]))
        return known

    monkeypatch.setattr(host.runtime, "inside", inside)
    monkeypatch.setattr(host.runtime, "running", lambda: {"postfix": object()} if runs else {})
    facts = preflight.Facts(host.context, host.runtime, {}, host)
    [line] = preflight.administrator(facts)
    assert (line.mark, line.found.partition(":")[0]) == said
    assert asked == ([("postfix", address.partition("@")[2], address.replace("+x", ""))] if runs else [])


def test_a_deployment_goes_on_although_nobody_gets_the_alarms(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = world.host()
    lost = preflight.Line("administrator", preflight.FAILED, "nobody gets mail for a@example.com")
    said: list[str] = []
    monkeypatch.setattr(preflight, "run", lambda *_: [lost])
    monkeypatch.setattr(host, "say", said.append)
    preflight.refuse(host, {})
    assert said == ["warning: administrator: nobody gets mail for a@example.com"]


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("ALTER TABLE domains ADD COLUMN note VARCHAR(9) NOT NULL DEFAULT '';", False),
        ("ALTER TABLE domains ADD COLUMN note VARCHAR(9);", False),
        ("CREATE TABLE notes (\n    id INTEGER NOT NULL\n);", False),
        ("CREATE INDEX ix_a ON domains (name);", False),
        ("ALTER TABLE domains DROP COLUMN active;", True),
        ("DROP TABLE aliases;", True),
        ("ALTER TABLE domains CHANGE name title VARCHAR(253) NULL;", True),
        ("ALTER TABLE domains RENAME TO places;", True),
        ("ALTER TABLE domains ADD COLUMN note VARCHAR(9) NOT NULL;", True),
    ],
)
def test_a_migration_may_add_and_not_take_away(sql: str, refused: bool) -> None:
    assert bool(CONTRACTS.search(f"-- Running upgrade\n\n{sql}\n")) == refused


def test_a_repository_for_several_hosts_is_not_started_on_one(world: World) -> None:
    (world.repo / "nodes.yml").touch()
    assert mark(world, {}, "hosts") == ("failed", "nodes.yml says that there are several: Compose knows one")
