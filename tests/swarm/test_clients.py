"""Whatever asks the database on several hosts, as the repository sets it up: each by TLS, and no impostor.

And the migrations, by the one that writes, while another member is killed. `make soak` runs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from threading import Thread

import bcrypt
import pytest

from mailctl.secret_files.rotate import readers
from tests.swarm.founded import founded
from tests.swarm.impostors import OTHER_AUTHORITY, OTHER_NAME, OUR_OWN, impostor
from tests.swarm.members import MEMBERS, Database, docker, eventually

pytestmark = [
    pytest.mark.docker,
    pytest.mark.series("SWARM_DATABASE"),
]
WHO, PASSWORD = "anna@example.com", "a person's password"
USERMGMT = (
    "import os; from sqlalchemy import create_engine; from usermgmt.settings import database_url;"
    "connection = create_engine(database_url(os.environ)).connect();"
    "print(connection.exec_driver_sql('SHOW STATUS LIKE \"Ssl_version\"').all())"
)
LEDGER = (
    "import os; from mailserver_api.settings import Settings;"
    "from mailserver_api.stores import Work, store_of;"
    "work = Work(store := store_of(Settings.from_environment(os.environ)), store.open());"
    "print(work.rows('SHOW STATUS LIKE \"Ssl_version\"'))"
)
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
PEOPLE = f"""
INSERT INTO mailserver.domains (name) VALUES ('example.com');
INSERT INTO mailserver.mailboxes (domain_id, email, password_hash, quota_bytes)
  SELECT id, '{WHO}', '{HASH}', 1000000 FROM mailserver.domains;
"""  # noqa: S608 - words of these tests
#: What each program is asked, and a word of the right answer.
CLIENTS = {
    "postfix": (("postmap", "-q", "example.com", "mysql:/run/postfix/sql/domains.cf"), "example.com"),
    "dovecot": (("doveadm", "auth", "test", WHO, PASSWORD), "auth succeeded"),
    "usermgmt": (("python", "-c", USERMGMT), "TLSv1.3"),
    "mover": (("python", "-c", USERMGMT), "TLSv1.3"),
    "mailserver-api": (("python", "-c", LEDGER), "TLSv1.3"),
    "roundcube": (("sh", "-c", f"{readers.READERS['roundcube'].check} && echo connected"), "connected"),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The members, the proxies, and all of their clients, without what those need besides."""
    parts = ("mariadb", "database", *CLIENTS)
    with founded(tmp_path_factory.mktemp("clients"), "clients", parts) as whole:
        whole.whole()
        whole.sql(whole.writer(), PEOPLE)
        yield whole


def answered(database: Database, client: str) -> bool:
    """Whether the program got the right answer of the database."""
    words, right = CLIENTS[client]
    return right in docker("exec", database.container(client), *words, check=False)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_its_answer(database: Database, client: str) -> None:
    eventually(lambda: answered(database, client), f"{client}: its answer", 90, every=1)


def test_nobody_gets_in_without_tls(database: Database) -> None:
    connections = database.sql(database.writer(), "SELECT user FROM information_schema.processlist")
    assert {"usermgmt", "postfix"} & set(connections), "the clients of the other tests are still connected"
    assert {database.sql(m, "SELECT @@require_secure_transport")[0] for m in MEMBERS} == {"1"}


def test_an_attachment_of_the_webmail_fits_into_a_row_of_every_member(database: Database) -> None:
    with closing(database.connect()) as client, client.cursor() as cursor:
        cursor.execute("CREATE TABLE attachments (id INT PRIMARY KEY, data LONGTEXT) ENGINE=InnoDB")
        cursor.execute("INSERT INTO attachments VALUES (1, %s)", ("x" * 36_000_000,))
    for member in MEMBERS:
        statement = "SET SESSION wsrep_sync_wait = 7; SELECT LENGTH(data) FROM mailserver.attachments"
        assert database.sql(member, statement) == ["36000000"]


def test_all_migrations_run_while_a_member_is_killed_and_every_one_has_them(database: Database) -> None:
    writer = database.writer()
    killed = next(member for member in MEMBERS if member != writer)
    before = database.sql(writer, "SELECT version_num FROM mailserver.alembic_version")
    database.sql(writer, "DROP DATABASE mailserver; CREATE DATABASE mailserver CHARACTER SET utf8mb4")
    owner = (database.repository / "secrets" / "mariadb_owner_password").read_text()
    script = "cat >/tmp/owner && DB_USER=mailserver DB_PASSWORD_FILE=/tmp/owner python -m usermgmt.migrate"
    said: list[str] = []
    migration = Thread(target=lambda: said.append(database.feed("usermgmt", owner, "sh", "-c", script)))
    migration.start()
    tables = "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'mailserver'"
    eventually(lambda: int(database.sql(writer, tables)[0]) > 3, "the first tables", every=0)
    database.kill(killed)
    migration.join()
    assert "the schema is up to date" in said[0], said
    database.again(killed)
    database.whole()
    assert [database.sql(m, "SELECT version_num FROM mailserver.alembic_version") for m in MEMBERS] == [
        before
    ] * 3


@pytest.mark.parametrize("shown", [OUR_OWN, OTHER_NAME, OTHER_AUTHORITY])
def test_an_impostor_under_the_name_mariadb_is_told_nothing(database: Database, shown: str) -> None:
    command = ["mariadbd", "--wsrep-on=OFF", "--ssl-cert=/impostor/crt", "--ssl-key=/impostor/key"]
    with impostor(database, MEMBERS[0], "database", ("data", "ledger"), shown, command):
        eventually(lambda: networking(database, "impostor") == ["0"], "the impostor", 90)
        database.sql("impostor", PEOPLE)
        seen = docker("exec", database.container("usermgmt"), "getent", "hosts", "mariadb")
        assert database.address("impostor", 1, "data") in seen
        # It waits longer and longer between attempts.
        database.inside("dovecot", "doveadm", "reload")
        if shown == OUR_OWN:
            for client in CLIENTS:
                eventually(lambda client=client: answered(database, client), f"{client}: its answer", 30)
        else:
            assert [client for client in CLIENTS if answered(database, client)] == []


def networking(database: Database, server: str) -> list[str]:
    """["0"] once it is no longer the one of a first start."""
    try:
        return database.sql(server, "SELECT @@skip_networking")
    except AssertionError:
        return []
