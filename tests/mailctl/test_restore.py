"""`mailctl restore` on real files: what it takes, what it refuses, and what is there when it is killed."""

import hashlib
import json
import os
import random
import select
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from time import monotonic

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from restore_scene import LEARNED, OF_THE_DATABASE, Sealed, mail, make_snapshot, tree, write_mailbox
from typer.testing import Result

from mailctl.backup.restore import run
from mailctl.backup.restore.stage import UID_GAP, unpack, with_gap
from mailctl.core import encryption
from mailctl.core.snapshots import Snapshot

# How often it is killed; `make soak` asks for more.
KILLS = int(os.environ.get("KILL_MOMENTS", "10"))
ME = "me@example.com"
THEN = {
    "INBOX": {"1.one:2,S": mail("one"), "2.two": mail("two")},
    "Archive/2026": {"3.three:2,Fb": mail("three")},
}
NOW = {"INBOX": {"9.nine:2,S": mail("nine")}}


@dataclass
class Server:
    """A server with mail of today, and a snapshot of another day."""

    repo: Path
    hdd: Path
    snapshot: Snapshot
    cli: Cli
    before: dict[str, dict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = self.live()

    def live(self) -> dict[str, dict]:
        """What a restore of mail, settings and certificates replaces."""
        env = {"": (self.repo / ".env").read_bytes()}
        return {"mail": tree(self.hdd / "mailboxes"), "secrets": tree(self.repo / "secrets"), "env": env}

    def leftovers(self) -> list[str]:
        """Names that no restore may leave behind."""
        places = (self.repo, self.hdd, self.hdd / "ssd")
        return [path.name for place in places for path in place.iterdir() if "restore-" in path.name]

    def restore(self, *words: object) -> Result:
        return self.cli("restore", "--from", self.snapshot.path, "--yes", *words)

    @property
    def sealed(self) -> Sealed:
        return Sealed(list(self.snapshot.manifest.document["recipients"]))

    @property
    def mailbox(self) -> Path:
        """Where the snapshot has the one mailbox."""
        return self.snapshot.path / "mail" / "example.com" / "me" / "mail"


@pytest.fixture
def server(repo: Path, tmp_path: Path, cli: Cli, docker: FakeDocker, engine: FakeEngine) -> Server:
    """Mail of today on disk, a snapshot beside it, and a Docker that does what it is told."""
    hdd = tmp_path / "hdd"
    (hdd / "ssd" / "mariadb").mkdir(parents=True)
    write_mailbox(hdd / "mailboxes", ME, NOW)
    with open(repo / ".env", "a") as file:
        file.write(f"HDD_PATH={hdd}\nSSD_PATH={hdd}/ssd\n")
    assert cli("secrets", "init").exit_code == 0
    identity = encryption.new_identity()
    (repo / "secrets" / "backup_age_identity").unlink(missing_ok=True)
    (repo / "secrets" / "backup_age_identity").write_bytes(identity)
    sealed = Sealed([encryption.public(identity.decode().splitlines()[-1])])
    engine.containers = [container("dovecot"), container("mariadb")]
    return Server(repo, hdd, make_snapshot(hdd, "daily/2026-11-20", {ME: THEN}, sealed), cli)


def test_mail_is_replaced_and_the_former_state_comes_back_on_request(server: Server) -> None:
    result = server.restore("--component", "mail", "--json")
    assert result.exit_code == 0, result.stdout + result.stderr
    assert server.live()["mail"] == tree(server.snapshot.path / "mail")
    kept = json.loads(result.stdout)["kept"]
    assert [tree(Path(path)) for path in kept] == [server.before["mail"]]
    assert server.cli("restore", "--undo", "--yes").exit_code == 0
    assert server.live() == server.before
    assert server.cli("restore", "--confirm", "--yes").exit_code == 0
    assert server.leftovers() == []


def test_a_second_restore_waits_until_the_first_is_confirmed(server: Server) -> None:
    server.restore("--component", "mail")
    again = server.restore("--component", "mail")
    assert again.exit_code == 1 and "--confirm" in again.stderr
    assert server.cli("restore", "--confirm", "--yes").exit_code == 0
    assert server.restore("--component", "mail").exit_code == 0


def test_services_stop_after_everything_is_prepared_and_start_after_the_exchange(
    server: Server, docker: FakeDocker
) -> None:
    server.restore("--component", "mail")
    words = [call["arguments"][3:] for call in docker.calls if call["arguments"][0] == "compose"]
    verbs = [[word for word in call if word in ("stop", "up", "dovecot")] for call in words]
    assert [verb for verb in verbs if verb] == [["stop", "dovecot"], ["up", "dovecot"]]


class Killed(BaseException):
    """The process dies here."""


UNDO, CONFIRM = ("--undo", "--yes"), ("--confirm", "--yes")
# What is killed while the services start, how, and the next call.
STARTING = {
    "a restore": (None, CONFIRM),
    "an undo": (UNDO, CONFIRM),
    "a restore that gave up": ("stop", ("--at", "2026-12-01", "--component", "mail", "--dry-run")),
}


@pytest.mark.parametrize("what", STARTING)
def test_services_that_a_killed_call_has_stopped_are_started_by_the_next_one(
    server: Server, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    how, following = STARTING[what]
    if how == UNDO:
        server.restore("--component", "mail")
    if how == "stop":
        docker.answer("stop", code=1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(run, "_start", _die)
        server.cli("restore", *UNDO) if how == UNDO else server.restore("--component", "mail")
    begun = len(docker.calls_with("up"))
    assert server.cli("restore", *following).exit_code == 0
    assert len(docker.calls_with("up")) == begun + 1


def _die(*_: object) -> None:
    raise Killed


def test_a_restored_state_that_does_not_come_up_is_not_confirmed_but_can_be_undone(
    server: Server, docker: FakeDocker
) -> None:
    docker.answer("up", stderr="usermgmt is unhealthy", code=1)
    assert server.restore("--component", "mail").exit_code == 1
    assert server.cli("restore", *CONFIRM).exit_code == 1
    assert server.live()["mail"] != server.before["mail"]
    docker.answer("up")
    assert server.cli("restore", *UNDO).exit_code == 0
    assert server.live() == server.before


def test_settings_and_certificates_come_back_and_this_hosts_own_stay(server: Server) -> None:
    assert server.restore("--component", "config").exit_code == 0
    secrets, env = server.repo / "secrets", (server.repo / ".env").read_text()
    assert (secrets / "relay_password").read_text() == "restored relay\n"
    assert (secrets / "relay_password").stat().st_mode & 0o777 == 0o444
    assert (secrets / "backup_age_identity").is_file() and secrets.stat().st_mode & 0o777 == 0o700
    assert "ADMIN_EMAIL=old@example.com" in env and f"HDD_PATH={server.hdd}" in env
    assert (server.repo / ".env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "asked", [False, True], ids=["and stays erased", "and comes back when it is asked for"]
)
def test_who_was_erased_since_the_snapshot_is_named(
    server: Server, docker: FakeDocker, asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = {hashlib.sha256(ME.encode()).hexdigest(): "2026-11-25 10:00:00.000000"}
    (server.hdd / ".mailctl").mkdir(exist_ok=True)
    (server.hdd / ".mailctl" / "erased.json").write_text(json.dumps(moments))
    schema = server.repo / "config/mariadb/initdb/20-schema.sql"
    schema.parent.mkdir(parents=True)
    schema.write_text("-- Running upgrade 0 -> 0001\nSQL of 1;\n")
    monkeypatch.setattr("mailctl.person.rows.accounts", lambda _ask: [(ME, "2026-11-01 10:00:00")])
    for component in ("mail", "mysql"):
        words = ("--erased",) if asked else ()
        done = server.restore("--component", component, "--json", *words)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["erased"] == [ME] and f"{ME} was erased" in done.stderr
        assert server.cli("restore", "--confirm", "--yes").exit_code == 0
    assert (server.hdd / "mailboxes/example.com/me").exists() == asked
    in_the_restored_database = any("DELETE FROM mailboxes" in str(call) for call in docker.calls)
    assert in_the_restored_database != asked


def test_without_the_database_its_passwords_stay_as_it_knows_them(server: Server) -> None:
    """They may have been rotated since the snapshot; with older ones all mail would be deferred."""
    assert server.restore("--component", "config").exit_code == 0
    for name in OF_THE_DATABASE:
        assert server.live()["secrets"][name] == server.before["secrets"][name]


def test_dkim_keys_lie_in_a_folder_of_their_archive_as_docker_copies_them(
    server: Server, tmp_path: Path
) -> None:
    sealed = server.snapshot.path / "dkim" / "keys.tar.age"
    identity = (server.repo / "secrets" / "backup_age_identity").read_text().splitlines()[-1]
    assert unpack(sealed, [identity], tmp_path) == ["example.com.s1.key"]
    assert (tmp_path / "example.com.s1.key").read_bytes() == b"restored dkim\n"


def test_what_rspamd_has_learned_takes_the_place_of_what_it_knows_now(
    server: Server, engine: FakeEngine, docker: FakeDocker, tmp_path: Path
) -> None:
    engine.volumes["shop-mail_valkey_data"] = str(tmp_path / "valkey")
    live = tmp_path / "valkey" / "appendonlydir"
    live.mkdir(parents=True)
    (live / "appendonly.aof.1.base.rdb").write_bytes(b"REDIS of now")
    assert server.restore("--component", "learned").exit_code == 0
    assert {f"appendonlydir/{path.name}": path.read_bytes() for path in live.iterdir()} == LEARNED
    [stop] = docker.calls_with("stop")
    assert stop["arguments"][-2:] == ["valkey", "rspamd"]
    assert server.cli("restore", "--undo", "--yes").exit_code == 0
    assert [path.read_bytes() for path in live.iterdir()] == [b"REDIS of now"]


def test_a_snapshot_without_what_was_learned_is_restored_whole_and_not_by_that_name(server: Server) -> None:
    document = json.loads((server.snapshot.path / "manifest.json").read_text())
    document["components"].pop("learned")
    (server.snapshot.path / "manifest.json").write_text(json.dumps(document))
    shutil.rmtree(server.snapshot.path / "learned")
    done = server.restore("--component", "all", "--dry-run", "--json")
    assert json.loads(done.stdout)["components"] == ["mail", "mysql", "config", "ssl", "dkim"]
    refused = server.restore("--component", "learned")
    assert refused.exit_code == 1 and "is not in this snapshot" in refused.stderr


def test_a_key_that_does_not_fit_is_told_and_nothing_is_touched(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_bytes(encryption.new_identity())
    refused = server.restore("--component", "ssl", "--identity", other)
    assert refused.exit_code == 1 and "--identity" in refused.stderr
    assert server.live() == server.before and server.leftovers() == []


def test_a_dry_run_checks_and_changes_nothing(server: Server, docker: FakeDocker) -> None:
    assert server.restore("--component", "mail", "--dry-run").exit_code == 0
    assert server.live() == server.before and server.leftovers() == []
    assert not [call for call in docker.calls if {"stop", "up"} & set(call["arguments"])]


def _flip(server: Server) -> None:
    path = server.mailbox / "cur" / "1.one:2,S"
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)


def _cut(server: Server) -> None:
    os.truncate(server.mailbox / "new" / "2.two", 20)


def _remove(server: Server) -> None:
    (server.mailbox / "new" / "2.two").unlink()


def _add(server: Server) -> None:
    (server.mailbox / "new" / "4.added").write_bytes(mail("added"))


def _swap(server: Server) -> None:
    other = make_snapshot(server.hdd, "daily/2026-11-19", {ME: NOW}, server.sealed)
    shutil.rmtree(server.snapshot.path / "mail")
    (other.path / "mail").rename(server.snapshot.path / "mail")


DAMAGE: dict[str, tuple[Callable[[Server], None], str]] = {
    "a bit flipped": (_flip, "cur/1.one"),
    "a file cut": (_cut, "new/2.two"),
    "a file missing": (_remove, "new/2.two"),
    "a file added": (_add, "new/4.added"),
    "another snapshot's mail": (_swap, "9.nine"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_snapshot_is_refused_by_the_name_of_the_file(server: Server, kind: str) -> None:
    damage, name = DAMAGE[kind]
    damage(server)
    refused = server.restore("--component", "mail", "--json")
    assert refused.exit_code == 1
    assert name in " ".join(one["field"] for one in json.loads(refused.stdout)["problems"])
    assert server.live() == server.before and server.leftovers() == []


@pytest.mark.parametrize(
    ("at", "chosen"),
    [
        ("2026-11-20", "daily/2026-11-20"),
        ("2026-11-20T01:59:59Z", "weekly/2026-11-15"),
        ("2026-12-01T00:00:00Z", "daily/2026-11-20"),
    ],
)
def test_a_time_chooses_the_newest_good_snapshot_before_it(server: Server, at: str, chosen: str) -> None:
    make_snapshot(server.hdd, "weekly/2026-11-15", {ME: NOW}, server.sealed)
    result = server.cli("restore", "--at", at, "--component", "mail", "--dry-run", "--json")
    assert json.loads(result.stdout)["snapshot"] == chosen


def test_a_time_before_all_snapshots_is_refused_with_what_there_is(server: Server) -> None:
    refused = server.cli("restore", "--at", "2026-01-01", "--component", "mail", "--yes")
    assert refused.exit_code == 1 and "daily/2026-11-20" in refused.stderr


def test_a_restored_folder_gives_no_uid_that_a_mail_program_may_know(server: Server) -> None:
    server.restore("--component", "mail")
    head = (server.hdd / "mailboxes/example.com/me/mail/dovecot-uidlist").read_text().splitlines()[0]
    assert head == f"3 V1700000000 N{3 + UID_GAP} G0123456789abcdef0123456789abcdef"
    assert with_gap(b"3 V1 N4294000000\n") is None and with_gap(b"rubbish") is None


def _once_free(server: Server, *words: str) -> Result:
    """Run the command; a helper of a killed one may hold its lock until it notices."""
    end, pause = monotonic() + 60, Event()
    while "is at work" in (result := server.cli(*words)).output and monotonic() < end:
        pause.wait(0.1)
    return result


def _killed(server: Server, after: float, *words: str) -> float:
    """Run the command in a process of its own, kill it after so many seconds; returns how long it ran."""
    began, child = monotonic(), os.fork()
    if child == 0:
        with open(os.devnull, "w") as silent:
            os.dup2(silent.fileno(), 1)
            os.dup2(silent.fileno(), 2)
            server.cli(*words)
            os._exit(0)
    process = os.pidfd_open(child)
    if not select.select([process], [], [], after)[0]:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(process)
    return monotonic() - began


@pytest.mark.series
def test_killed_at_any_moment_the_old_or_the_new_state_is_there_and_the_next_call_ends_it(
    server: Server,
) -> None:
    """Restore and undo, killed at seeded moments: never a mixture of states, and nothing is left over."""
    moments = random.Random(10)  # noqa: S311
    restore = ("restore", "--from", str(server.snapshot.path), "--component", "mail", "--yes")
    whole = _killed(server, 60, *restore)
    new = server.live()
    back = _killed(server, 60, "restore", "--undo", "--yes")
    assert new["mail"] != server.before["mail"] and server.live() == server.before
    server.cli("restore", "--confirm", "--yes")
    for number in range(KILLS):
        undoing = number % 3 == 2
        if undoing:
            server.restore("--component", "mail")
        words, length = (("restore", "--undo", "--yes"), back) if undoing else (restore, whole)
        _killed(server, moments.uniform(0, length), *words)
        for what, found in server.live().items():
            assert found in (server.before[what], new[what]), f"{what} is a mixture after kill {number}"
        _once_free(server, *restore, "--dry-run")
        state = server.live()
        assert state in (server.before, new), f"mixed after the next call {number}"
        if state == new:
            undone = _once_free(server, "restore", "--undo", "--yes")
            assert undone.exit_code == 0, undone.output
        assert server.live() == server.before
        server.cli("restore", "--confirm", "--yes")
        assert server.leftovers() == []
