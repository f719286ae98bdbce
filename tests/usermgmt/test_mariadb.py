"""On a real MariaDB, started with the template's own configuration and first-start scripts."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, delete, select, text
from sqlalchemy.exc import DBAPIError
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_PASSWORD, ADMIN_SITE, Browser, MakeApp, Server

from usermgmt import migrate
from usermgmt.database import Database
from usermgmt.models import Admin, AuditEntry, Base, Domain, Mailbox, MailCount, utc_now
from usermgmt.passwords import Hasher
from usermgmt.problems import Conflict, Refused
from usermgmt.services import aliases, directory, domains, mail_counts, mailboxes
from usermgmt.services.admins import create_first_admin
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.services.logins import MOST_FROM_DEVICE
from usermgmt.settings import Settings

pytestmark = pytest.mark.mariadb
PASSWORD = "correct horse battery"
WORKERS = 6


@pytest.fixture
def real(mariadb: Server) -> Iterator[Database]:
    """The database as the application's own account sees it, empty."""
    owner = create_engine(mariadb.url("mailserver"))
    with owner.begin() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            connection.execute(delete(table))
    owner.dispose()
    application = Database(mariadb.url("usermgmt"))
    yield application
    application.engine.dispose()


@pytest.fixture
def filled(real: Database, hasher: Hasher) -> Database:
    """One domain with one mailbox and one alias."""
    with real.transaction() as session:
        domains.add_domain(session, COMMAND_LINE, "example.org")
        mailboxes.add_mailbox(session, COMMAND_LINE, hasher, "anna@example.org", PASSWORD, "1G")
        aliases.add_alias(session, COMMAND_LINE, "info@example.org", "anna@example.org")
    return real


def allowed(connection: Connection, sql: str) -> bool:
    """Whether the account may run the statement; any other failure is an error."""
    try:
        connection.execute(text(sql)).close()
    except DBAPIError as error:
        assert error.orig and error.orig.args[0] in (1044, 1142, 1143, 1227), error
        return False
    return True


@pytest.mark.parametrize(
    ("account", "sql", "may"),
    [
        ("postfix", "SELECT d.name FROM domains d WHERE d.active", True),
        ("postfix", "SELECT m.email FROM mailboxes m JOIN domains d ON d.id = m.domain_id", True),
        ("postfix", "SELECT destination FROM aliases WHERE source = 'x' AND active", True),
        ("postfix", "SELECT password_hash FROM mailboxes", False),
        ("postfix", "SELECT * FROM mailboxes", False),
        ("postfix", "SELECT 1 FROM admins", False),
        ("postfix", "SELECT 1 FROM audit_log", False),
        ("postfix", "SELECT deleted_at FROM mailboxes", True),
        ("postfix", "SELECT 1 FROM app_passwords", False),
        ("postfix", "SELECT shard FROM mailboxes", True),
        ("postfix", "SELECT volume FROM mailboxes", False),
        ("postfix", "SELECT 1 FROM shards", False),
        ("dovecot", "SELECT shard, volume FROM mailboxes", True),
        ("dovecot", "SELECT name FROM shards", True),
        ("dovecot", "SELECT mailbox_id, source, source_volume, target_volume FROM mailbox_moves", True),
        ("dovecot", "SELECT trouble FROM mailbox_moves", False),
        ("dovecot", "UPDATE mailboxes SET shard = 'z'", False),
        ("postfix", "UPDATE domains SET active = 0", False),
        ("dovecot", "SELECT email, password_hash, quota_bytes FROM mailboxes WHERE active", True),
        ("dovecot", "SELECT m.email FROM mailboxes m JOIN domains d ON d.id = m.domain_id", True),
        ("dovecot", "SELECT home, deleted_at, two_factor FROM mailboxes", True),
        ("dovecot", "SELECT mailbox_id, password_hash FROM app_passwords", True),
        ("dovecot", "DELETE FROM app_passwords", False),
        (
            "dovecot",
            "INSERT INTO app_passwords (mailbox_id, name) VALUES (1, 'x')",
            False,
        ),
        ("dovecot", "SELECT 1 FROM totp_secrets", False),
        ("dovecot", "SELECT 1 FROM api_tokens", False),
        ("dovecot", "SELECT 1 FROM aliases", False),
        ("dovecot", "SELECT 1 FROM admins", False),
        ("dovecot", "UPDATE mailboxes SET active = 0", False),
        ("dovecot", "UPDATE mailboxes SET last_login_at = UTC_TIMESTAMP(6) WHERE email = 'x'", True),
        ("usermgmt", "SELECT * FROM audit_log", True),
        ("usermgmt", "UPDATE audit_log SET actor = 'x'", False),
        ("usermgmt", "DELETE FROM audit_log", False),
        ("usermgmt", "DROP TABLE admins", False),
        ("usermgmt", "CREATE TABLE x (id INT)", False),
        ("usermgmt", "UPDATE alembic_version SET version_num = 'x'", False),
        ("usermgmt", "UPDATE mail_counts SET starts = '2000-01-01'", False),
        ("usermgmt", "DELETE FROM host_news", False),
        ("usermgmt", "UPDATE mailbox_usage SET used_bytes = 0", False),
        ("usermgmt", "SELECT 1 FROM mysql.global_priv", False),
        ("usermgmt", "UPDATE domain_report_rows SET count = 0", False),
        ("usermgmt", "DELETE FROM domain_report_rows", False),
        ("roundcube", "CREATE TABLE t (id INT)", True),
        ("roundcube", "DROP TABLE t", True),
        ("roundcube", "SELECT 1 FROM mailserver.mailboxes", False),
        ("mailserver", "SELECT 1 FROM mysql.global_priv", False),
        ("mailserver", "SELECT 1 FROM roundcube.t", False),
    ],
)
def test_each_service_has_the_least_rights_that_work(
    mariadb: Server, account: str, sql: str, may: bool
) -> None:
    engine = create_engine(mariadb.url(account))
    with engine.connect() as connection:
        if account == "roundcube" and sql.startswith("DROP"):
            connection.execute(text("CREATE TABLE IF NOT EXISTS t (id INT)"))
        if account == "roundcube" and sql.startswith("CREATE"):
            connection.execute(text("DROP TABLE IF EXISTS t"))
        assert allowed(connection, sql) is may
    engine.dispose()


def test_the_models_match_the_migrated_schema(mariadb: Server) -> None:
    engine = create_engine(mariadb.url("mailserver"))
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    engine.dispose()
    assert differences == []


def test_migrating_a_first_start_changes_nothing(mariadb: Server) -> None:
    migrate.upgrade(mariadb.url("mailserver"))
    database = Database(mariadb.url("usermgmt"))
    assert database.is_ready()
    database.engine.dispose()


def test_the_server_is_strict_and_keeps_no_binary_log(real: Database) -> None:
    with real.engine.connect() as connection:
        row = connection.execute(
            text("SELECT @@sql_mode, @@log_bin, @@local_infile, @@skip_name_resolve, @@time_zone")
        ).one()
    assert "STRICT_ALL_TABLES" in row[0] and tuple(row[1:]) == (0, 0, 1, "+00:00")


def test_addresses_are_compared_byte_by_byte(filled: Database) -> None:
    with filled.engine.connect() as connection:
        for other in ("ANNA@example.org", "ànna@example.org"):
            query = text("SELECT count(*) FROM mailboxes WHERE email = :other")
            assert connection.scalar(query, {"other": other}) == 0


def at_once(*work: object) -> list[object]:
    """Run functions at the same moment; their results or exceptions."""
    barrier = Barrier(len(work))

    def start(function: object) -> object:
        barrier.wait()
        try:
            return function()  # type: ignore[operator]
        except Refused as refusal:
            return refusal

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(start, work))


def test_workers_that_start_at_once_make_one_first_admin(real: Database, hasher: Hasher) -> None:
    made = at_once(*[lambda: create_first_admin(real, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)] * WORKERS)
    assert sorted(map(str, made)) == ["False"] * (WORKERS - 1) + ["True"]
    with real.transaction() as session:
        assert len(session.scalars(select(Admin)).all()) == 1
        assert len(session.scalars(select(AuditEntry)).all()) == 1


def test_an_address_given_away_twice_at_once_goes_to_one(filled: Database, hasher: Hasher) -> None:
    def as_mailbox() -> object:
        with filled.transaction() as session:
            return mailboxes.add_mailbox(session, COMMAND_LINE, hasher, "new@example.org", PASSWORD, "1G")

    def as_alias() -> object:
        with filled.transaction() as session:
            return aliases.add_alias(session, COMMAND_LINE, "new@example.org", "anna@example.org")

    results = at_once(as_mailbox, as_alias, as_mailbox, as_alias)
    assert sum(not isinstance(result, Refused) for result in results) == 1


def test_two_halves_of_a_loop_added_at_once_do_not_make_one(filled: Database) -> None:
    with filled.transaction() as session:
        for source in ("a@example.org", "b@example.org"):
            aliases.add_alias(session, COMMAND_LINE, source, "anna@example.org")
    both_have_read = Barrier(2)

    def lead(source: str, destination: str) -> object:
        with filled.transaction() as session:
            directory.destinations_of(session, source)
            both_have_read.wait()
            return aliases.add_alias(session, COMMAND_LINE, source, destination)

    results = at_once(
        lambda: lead("a@example.org", "b@example.org"), lambda: lead("b@example.org", "a@example.org")
    )
    assert sum(isinstance(result, Refused) for result in results) == 1


def test_a_change_and_its_audit_row_are_undone_together(filled: Database) -> None:
    with pytest.raises(RuntimeError), filled.transaction() as session:
        domains.add_domain(session, COMMAND_LINE, "example.net")
        raise RuntimeError
    with filled.transaction() as session:
        assert [row.domain.name for row in domains.list_domains(session)] == ["example.org"]
        assert "example.net" not in set(session.scalars(select(AuditEntry.subject)))


def test_a_database_error_does_not_repeat_what_was_written(filled: Database) -> None:
    with pytest.raises(DBAPIError) as error, filled.transaction() as session:
        session.add(Mailbox(domain_id=-1, email="x@example.org", password_hash="a-hash", quota_bytes=1))
    assert "a-hash" not in str(error.value)


def test_a_person_administers_through_the_pages(make_app: MakeApp, mariadb: Server, real: Database) -> None:
    settings = Settings(
        database_url=mariadb.url("usermgmt"),
        session_key="k" * 64,
        account_host=ACCOUNT_SITE,
        admin_host=ADMIN_SITE,
        admin_email=ADMIN_EMAIL,
        admin_password=ADMIN_PASSWORD,
        cookie_secure=False,
        cheap_hashes=True,
    )
    browser = Browser(make_app(settings))
    assert browser.log_in().status_code == 303
    assert browser.post("/domains", name="bücher.example").status_code == 303
    assert browser.post("/mailboxes", email="a@bücher.example", quota="1G").status_code == 201
    assert (
        browser.post("/aliases", source="@bücher.example", destinations="a@bücher.example").status_code == 303
    )
    assert "Alias added" in browser.get("/").text
    assert browser.post("/logout").status_code == 303
    for _ in range(MOST_FROM_DEVICE):
        assert browser.log_in(password="wrong").status_code == 401
    assert browser.log_in().status_code == 429
    with real.transaction() as session:
        assert session.scalars(select(Mailbox.email)).all() == ["a@xn--bcher-kva.example"]


@pytest.mark.parametrize("search", ["chiHIRO.s", "ample.or", "muller", "みゅらー", "田太", "100%"])
def test_a_mailbox_is_found_by_any_part_of_its_address_or_name(
    filled: Database, hasher: Hasher, search: str
) -> None:
    name, address = "Müller ミュラー 山田太郎 100%", "chihiro.s@sub.example.org"
    with filled.transaction() as session:
        domains.add_domain(session, COMMAND_LINE, "sub.example.org")
        mailboxes.add_mailbox(session, COMMAND_LINE, hasher, address, PASSWORD, "1G", name)
        found, total = mailboxes.list_mailboxes(session, search)
        assert address in [row.email for row in found] and total == len(found)
        assert mailboxes.list_mailboxes(session, "o_s")[1] == 0


def test_a_search_reads_an_index_and_no_row(filled: Database) -> None:
    for scope in (None, frozenset({1, 2})):
        query = mailboxes.matching("anna", False, scope)
        sql = query.compile(filled.engine, compile_kwargs={"render_postcompile": True})
        with filled.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN {sql}", sql.params).mappings().one()
        assert plan["key"] == "ix_mailboxes_search" and "Using index" in plan["Extra"].split("; "), plan


def test_the_postfix_and_dovecot_queries_see_a_change_at_once(filled: Database, mariadb: Server) -> None:
    query = text("SELECT email FROM mailboxes WHERE active AND email = 'anna@example.org'")
    engines = [create_engine(mariadb.url(account)) for account in ("postfix", "dovecot")]
    for active, expected in ((False, []), (True, ["anna@example.org"])):
        with filled.transaction() as session:
            number = session.scalars(select(Mailbox.id)).one()
            mailboxes.set_mailbox_active(session, COMMAND_LINE, number, active)
        for engine in engines:
            with engine.connect() as connection:
                assert connection.scalars(query).all() == expected
    for engine in engines:
        engine.dispose()


def test_of_two_admins_who_change_a_mailbox_at_once_one_is_refused(filled: Database) -> None:
    both_have_read = Barrier(2)

    def change(quota: str) -> object:
        with filled.transaction() as session:
            mailbox = session.scalars(select(Mailbox)).one()
            both_have_read.wait()
            return mailboxes.change_details(session, COMMAND_LINE, mailbox.id, quota, "", mailbox.version)

    results = at_once(lambda: change("2G"), lambda: change("3G"))
    assert sum(isinstance(result, Conflict) for result in results) == 1


def test_mail_that_several_workers_report_at_once_is_all_counted(filled: Database) -> None:
    today = utc_now().date()
    with filled.transaction() as session:
        own = session.scalars(select(Domain.id)).first() or 0

    def report() -> None:
        for _ in range(10):
            with filled.transaction() as session:
                mail_counts.count(session, [(own, today, "received"), (own, today, "junk")])

    assert at_once(*[report] * WORKERS) == [None] * WORKERS
    with filled.transaction() as session:
        [day] = session.scalars(select(MailCount).where(MailCount.period == mail_counts.DAY))
    assert (day.received, day.junk) == (10 * WORKERS, 10 * WORKERS)
