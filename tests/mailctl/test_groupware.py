"""Calendars and address books in backup, restore, drill, export and erasure; tests/stack does it for real."""

import json
from pathlib import Path

import pytest
from backup_host import CALENDARS, CALENDARS_AT, PERSON, BackupHost
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from restore_scene import archive, digest
from test_backup import backup, latest
from test_backup import host as host  # a fixture
from test_restore import Server
from test_restore import server as server  # a fixture

from mailctl.backup import groupware, learned
from mailctl.core.errors import Refused
from mailctl.core.groupware import entries
from mailctl.person.erase import remove_ownerless

VERIFY = "--verify-storage"


def with_calendars(server: Server) -> None:
    """A snapshot that has them, as one that was taken has."""
    saved = server.snapshot.path / groupware.FILE
    saved.parent.mkdir()
    saved.write_bytes(archive(CALENDARS))
    path = server.snapshot.path / "manifest.json"
    document = json.loads(path.read_text())
    size = saved.stat().st_size
    entry = {"sha256": digest(saved.read_bytes()), "size": size}
    document["components"]["groupware"] = {
        **{"ok": True, "files": 1, "bytes": size},
        "list": {groupware.FILE: entry},
    }
    path.write_text(json.dumps(document))


def files(folder: Path) -> dict[str, bytes]:
    """What is below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {f"collections/{path.relative_to(folder)}": path.read_bytes() for path in found}


def test_a_backup_has_every_event_and_contact(host: BackupHost, cli: Cli, tmp_path: Path) -> None:
    assert backup(cli)["components"]["groupware"]["ok"]
    assert groupware.put(latest(host).path / groupware.FILE, tmp_path / "back") == 2
    assert files(tmp_path / "back") == CALENDARS


def test_a_server_without_calendars_has_no_such_component(host: BackupHost, cli: Cli) -> None:
    (host.repo / "config/radicale").rmdir()
    assert "groupware" not in backup(cli)["components"]


@pytest.mark.parametrize("name", ["collections/../../evil.ics", "/etc/evil.ics"])
def test_an_archive_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "bad.tar").write_bytes(archive({name: b"x"}))
    inside = tmp_path / "in" / "side"
    inside.parent.mkdir()
    try:
        groupware.put(tmp_path / "bad.tar", inside)
    except Refused as refusal:
        assert "is damaged" in str(refusal)
    assert not list(tmp_path.rglob("evil.ics")) or inside in next(tmp_path.rglob("evil.ics")).parents


def test_a_restore_swaps_them_and_takes_it_back(
    server: Server, engine: FakeEngine, docker: FakeDocker, tmp_path: Path
) -> None:
    with_calendars(server)
    engine.volumes["shop-mail_radicale_data"] = str(tmp_path / "data")
    live = tmp_path / "data" / "collections"
    live.mkdir(parents=True)
    (live / "now.ics").write_bytes(b"of now")
    assert server.restore("--component", "groupware").exit_code == 0
    assert files(live) == CALENDARS
    [stop] = docker.calls_with("stop")
    assert stop["arguments"][-1] == "radicale"
    assert server.cli("restore", "--undo", "--yes").exit_code == 0
    assert files(live) == {"collections/now.ics": b"of now"}


@pytest.mark.parametrize("good", [True, False])
def test_a_drill_has_radicale_itself_read_them(
    server: Server, engine: FakeEngine, docker: FakeDocker, good: bool
) -> None:
    with_calendars(server)
    path = server.repo / "config/mariadb/initdb/20-schema.sql"
    path.parent.mkdir(parents=True)
    path.write_text("-- Running upgrade 0 -> 0001\nSQL of 1;\n")
    docker.answer(learned.KEYS, "12\n")
    engine.containers = [*engine.containers, container("radicale")]
    docker.answer(VERIFY, stderr="" if good else "Invalid item", code=0 if good else 1)
    done = server.cli("drill", "--local-only", "--json")
    [found] = json.loads(done.stdout)["drills"]
    assert (done.exit_code == 0, found["groupware"]) == (good, 2), done.output
    assert any("Invalid item" in text for text in found["failures"]) is not good
    [call] = docker.calls_with(VERIFY)
    for word in ("--network=none", "--read-only", "--no-storage-skip-broken-item"):
        assert word in call["arguments"]


def test_what_belongs_to_no_mailbox_is_removed_and_nothing_else(host: BackupHost) -> None:
    host.docker.answer("ls", f"{PERSON}\n8-20261128120000\n.Radicale.cache\n")
    remove_ownerless(host.context, lambda _database, _script: f'["{PERSON}"]\n')
    [call] = host.docker.calls_with("rm")
    assert call["arguments"][-1] == "/var/lib/radicale/collections/collection-root/8-20261128120000"


def test_an_export_has_each_entry_and_no_cache(host: BackupHost) -> None:
    host.docker.answer("ls", f"{PERSON}\n")
    inside = {
        f"{PERSON}/calendar/e1.ics": b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
        f"{PERSON}/calendar/.Radicale.cache/item/e1.ics": b"pickled",
    }
    host.docker.answer(f"{CALENDARS_AT}/collection-root/{PERSON}", archive(inside).decode())
    assert dict(entries(host.context, PERSON)) == {"calendar/e1.ics": "BEGIN:VCALENDAR\nEND:VCALENDAR\n"}
    assert dict(entries(host.context, "9-20261128120000")) == {}
