"""Three members of the database: one is killed, two, all; what was acknowledged is there, one writes.

SWARM_DATABASE=10 runs all of them, ten times (make soak).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event

import pymysql
import pytest

from tests.swarm.founded import founded
from tests.swarm.members import MEMBERS, Database, Writing, doors, eventually, watched

pytestmark = pytest.mark.docker
SERIES = os.environ.get("SWARM_DATABASE", "")
ROUNDS = int(SERIES or 1)
long = pytest.mark.series("SWARM_DATABASE")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """All of it, founded by itself from three empty folders."""
    with founded(tmp_path_factory.mktemp("database"), "database") as whole:
        whole.whole()
        yield whole


def test_clients_reach_the_one_that_writes_by_either_proxy_and_by_tls_only(database: Database) -> None:
    assert set(doors(database)) == {database.writer()}
    with closing(database.connect()) as client, client.cursor() as cursor:
        cursor.execute("SHOW STATUS LIKE 'Ssl_version'")
        row = cursor.fetchone()
        assert row and row[1] == "TLSv1.3"
        cursor.execute("SELECT @@require_secure_transport")
        assert cursor.fetchone() == (1,)


def test_the_account_that_asks_and_copies_reads_no_account_of_people(database: Database) -> None:
    client = ("mariadb", "--no-defaults", "--socket=/run/mysqld/mysqld.sock", "--skip-ssl", "--user=mysql")
    with pytest.raises(AssertionError, match="denied"):
        database.inside(MEMBERS[0], *client, "--execute=SELECT * FROM mailserver.mailboxes")


def test_the_writer_is_killed_under_load_and_nothing_acknowledged_is_missing(database: Database) -> None:
    for _ in range(ROUNDS):
        seen: list[tuple[str, ...]] = []
        end = Event()
        watcher = watched(database, end, seen)
        try:
            with Writing(database) as writing:
                killed = database.writer()
                database.kill(killed)
                writing.more()
                assert database.writer() != killed
                database.again(killed)
                database.whole()
                writing.more()
        finally:
            end.set()
            watcher.join()
        print(f"{len(writing.acknowledged)} acknowledged, none for {writing.gap():.1f} s at most")
        assert writing.gap() < 10
        assert max(map(len, seen)) == 1
        assert [writing.missing(member) for member in MEMBERS] == [set(), set(), set()]


@long
def test_one_alone_refuses_and_all_come_back_when_the_power_does(database: Database) -> None:
    for _ in range(ROUNDS):
        with Writing(database) as writing:
            writing.more()
        first, second, last = MEMBERS
        database.kill(first, second)
        eventually(lambda: database.state(MEMBERS[-1]) == "apart", "the one that is left notices")
        eventually(lambda: not database.leads(), "the proxies lead nobody there")
        with pytest.raises(AssertionError, match=r"1047|WSREP"):
            database.sql(last, "INSERT INTO mailserver.written VALUES ('alone')")
        database.kill(last)
        database.again(*MEMBERS)
        database.whole()
        assert [writing.missing(member) for member in MEMBERS] == [set(), set(), set()]


@long
def test_all_that_were_stopped_in_order_find_together_by_themselves(database: Database) -> None:
    for _ in range(ROUNDS):
        with Writing(database) as writing:
            writing.more()
        database.compose("stop", *MEMBERS)
        database.again(*MEMBERS)
        database.whole()
        assert [writing.missing(member) for member in MEMBERS] == [set(), set(), set()]


@long
def test_when_one_is_lost_for_good_the_others_wait_until_recover_is_told_so(database: Database) -> None:
    with Writing(database) as writing:
        writing.more()
    *left, lost = MEMBERS
    # Those who were in it come back, and give up after a minute to go on as before.
    database.kill(*MEMBERS)
    database.again(*left)
    eventually(lambda: [database.state(m) for m in left] == ["waiting", "waiting"], "both wait", 180)
    assert f"--without {lost}" in " ".join(database.mailctl("db", "recover", "--yes", check=False).split())
    said = database.mailctl("db", "recover", "--yes", "--without", lost)
    assert "founds the database again" in said
    database.writer()
    database.prepare(lost)
    database.again(lost)
    database.whole()
    assert writing.missing(lost) == set()


@long
def test_a_member_that_left_for_good_is_started_again(database: Database) -> None:
    member = next(m for m in MEMBERS if database.state(m) == "member")
    # As after a copy that failed: Galera asks for a restart, and waits.
    database.sql(member, "SET GLOBAL wsrep_cluster_address = ''")
    eventually(lambda: "left the others for good" in database.log(member), "that it is noticed")
    database.whole()


@long
def test_a_member_starts_in_no_folder_that_is_not_its_own(database: Database) -> None:
    [member] = MEMBERS[-1:]
    database.compose("stop", member)
    sign = database.folder / "disks" / member / ".member"
    sign.rename(sign.with_suffix(".away"))
    try:
        database.again(member)
        eventually(lambda: "is not the folder of mariadb-3" in database.log(member), "its refusal")
        assert database.state(member) == ""
    finally:
        sign.with_suffix(".away").rename(sign)
        database.compose("stop", member)
        database.again(member)
    database.whole()


def test_a_lock_of_the_application_holds_for_all_its_clients(database: Database) -> None:
    with closing(database.connect(1)) as one, closing(database.connect(2)) as two:
        with one.cursor() as cursor:
            cursor.execute("CREATE TABLE IF NOT EXISTS locked (id INT PRIMARY KEY) ENGINE=InnoDB")
            cursor.execute("REPLACE INTO locked VALUES (1)")
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM locked FOR UPDATE")
        with two.cursor() as cursor, pytest.raises(pymysql.MySQLError, match="1205"):
            cursor.execute("SET innodb_lock_wait_timeout = 1")
            cursor.execute("SELECT id FROM locked FOR UPDATE")
        named = []
        for client in (one, two):
            with client.cursor() as cursor:
                cursor.execute("SELECT GET_LOCK('a migration', 0)")
                named.append(cursor.fetchone())
        assert named == [(1,), (0,)]


@long
def test_a_dump_from_another_member_leaves_the_writer_undisturbed(database: Database, tmp_path: Path) -> None:
    with Writing(database) as writing:
        before = len(writing.acknowledged)
        database.dump(tmp_path)
        writing.more()
        assert writing.gap() < 3
    assert len(writing.acknowledged) > before
    whole = subprocess.run(
        ["zcat", str(tmp_path / "mysql" / "mailserver.sql.gz")], capture_output=True, check=True
    )
    assert b"CREATE TABLE `written`" in whole.stdout
    assert {database.sql(m, "SELECT @@wsrep_desync")[0] for m in MEMBERS} == {"0"}


@long
def test_a_copy_to_a_new_member_that_is_cut_off_is_begun_again(database: Database) -> None:
    with Writing(database) as writing:
        writing.more()
    member = next(m for m in MEMBERS if database.state(m) == "member")
    database.compose("stop", member)
    database.prepare(member)
    database.again(member)
    begun = database.folder / "disks" / member / "sst_in_progress"
    eventually(begun.exists, "that the copy begins")
    database.kill(member)
    database.again(member)
    database.whole()
    assert "the copy from another member did not come to its end" in database.log(member)
    assert writing.missing(member) == set()


@long
def test_nobody_waits_for_the_last_writer_while_everything_is_copied_to_it(database: Database) -> None:
    last = database.writer()
    # So much that the copy takes seconds.
    with closing(database.connect()) as client, client.cursor() as cursor:
        cursor.execute("CREATE TABLE much (data LONGTEXT) ENGINE=InnoDB")
        for _ in range(30):
            cursor.execute("INSERT INTO much VALUES (%s)", (os.urandom(1_500_000).hex(),))
    database.compose("stop", *MEMBERS)
    database.prepare(last)
    database.again(*MEMBERS)
    eventually(lambda: "writer" in database.states(), "a writer", 120)
    assert database.state(last) == "starting"
    database.whole()


@long
def test_the_tables_of_a_single_host_become_those_of_all(database: Database) -> None:
    with Writing(database) as writing:
        writing.more()
    first, *others = MEMBERS
    database.sql(database.writer(), "DROP DATABASE galera; DROP USER mysql@localhost")
    database.compose("stop", *MEMBERS)
    database.forget(first, "grastate.dat", "galera.cache")
    database.prepare(*others)
    database.again(*MEMBERS)
    database.whole()
    assert [writing.missing(member) for member in MEMBERS] == [set(), set(), set()]


@long
def test_a_frozen_writer_that_thaws_is_not_one_any_more(database: Database) -> None:
    for _ in range(ROUNDS):
        with Writing(database) as writing:
            frozen = database.writer()
            database.docker("pause", frozen)
            writing.more()
            database.docker("unpause", frozen)
            database.whole()
            assert database.writer() != frozen
            writing.more()
        assert [writing.missing(member) for member in MEMBERS] == [set(), set(), set()]
