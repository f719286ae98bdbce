"""Starting: settings, the first admin, and a database that is not there yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import make_schema
from sqlalchemy import make_url, select
from support import ADMIN_EMAIL, ADMIN_PASSWORD, CONFIG, Browser, MakeApp

from usermgmt.database import Database
from usermgmt.models import Admin
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.schema_sql import schema_sql
from usermgmt.services.admins import create_first_admin
from usermgmt.settings import Settings, SettingsError

NOWHERE = "mariadb+pymysql://usermgmt:secret-of-the-url@127.0.0.1:9/mailserver"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What compose sets."""
    secrets = {"DB_PASSWORD_FILE": "a-db-password", "SESSION_KEY_FILE": "f" * 64}
    secrets |= {"ADMIN_PASSWORD_FILE": ADMIN_PASSWORD, "WEBMAIL_SECRET_FILE": "w" * 32}
    for name, value in secrets.items():
        (tmp_path / name).write_text(value)
    return {
        "ADMIN_EMAIL": ADMIN_EMAIL,
        "ACCOUNT_HOST": "account.example.org",
        "ADMIN_HOST": "admin.example.org",
        "ISSUER": "https://account.example.org",
        "WEBMAIL_URL": "https://mail.example.org",
        **{name: str(tmp_path / name) for name in secrets},
    }


def test_settings_come_from_the_environment_and_files(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    url = str(settings.database_url)
    assert url == "mariadb+pymysql://usermgmt:***@mariadb:3306/mailserver?charset=utf8mb4"
    assert settings.cookie_secure and settings.admin_password == ADMIN_PASSWORD
    hosts = (settings.account_host, settings.admin_host, settings.proxy_host)
    assert hosts == ("account.example.org", "admin.example.org", "nginx")
    names = (settings.issuer, settings.webmail_url, settings.webmail_secret)
    assert names == ("https://account.example.org", "https://mail.example.org/", "w" * 32)


def test_a_database_on_another_host_is_reached_by_tls(environment: dict[str, str]) -> None:
    url = make_url(Settings.from_environment({**environment, "DB_CA_FILE": "/ca.crt"}).database_url)
    # PyMySQL then checks the certificate, and that it is one of the host's name.
    assert url.get_dialect()().create_connect_args(url)[1]["ssl"] == {"ca": "/ca.crt"}


def test_settings_never_print_a_secret(environment: dict[str, str]) -> None:
    shown = repr(Settings.from_environment(environment))
    for secret in ("a-db-password", "f" * 64, "w" * 32, ADMIN_PASSWORD):
        assert secret not in shown


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("COOKIE_SECURE", "maybe", "COOKIE_SECURE='maybe' is neither true nor false"),
        ("ACCOUNT_HOST", "", "ACCOUNT_HOST='' is not a host name"),
        ("ACCOUNT_HOST", "admin.example.org", "ACCOUNT_HOST='admin.example.org' is ADMIN_HOST too"),
        ("ADMIN_HOST", "", "ADMIN_HOST='' is not a host name"),
        ("ADMIN_HOST", "https://admin.example.org/", "ADMIN_HOST='https://admin.example.org/' is not a host"),
        ("ADMIN_HOST", ".example.org", "ADMIN_HOST='.example.org' is not a host name"),
        ("WEBMAIL_URL", "mail.example.org", "WEBMAIL_URL='mail.example.org' is not a site"),
        ("ISSUER", "https://a.example/x", "ISSUER='https://a.example/x' is not a site"),
        ("DB_PORT", "mysql", "DB_PORT='mysql' is not a port"),
        ("DB_PORT", "70000", "DB_PORT='70000' is not a port"),
        ("SESSION_KEY_FILE", "/nonexistent", "SESSION_KEY_FILE=/nonexistent cannot be read"),
        ("DB_PASSWORD_FILE", "", "DB_PASSWORD_FILE is not set"),
        ("ADMIN_PASSWORD_FILE", "/dev/null", "ADMIN_PASSWORD_FILE=/dev/null is empty"),
    ],
)
def test_a_wrong_setting_is_named(environment: dict[str, str], name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace("(", r"\(")):
        Settings.from_environment({**environment, name: value})


def test_a_short_session_key_is_refused(environment: dict[str, str]) -> None:
    Path(environment["SESSION_KEY_FILE"]).write_text("short")
    with pytest.raises(SettingsError, match="fewer than 32 characters"):
        Settings.from_environment(environment)


def test_the_first_admin_is_created_once(database: Database, hasher: Hasher) -> None:
    assert create_first_admin(database, hasher, ADMIN_EMAIL, ADMIN_PASSWORD)
    assert not create_first_admin(database, hasher, ADMIN_EMAIL, "another password")
    assert not create_first_admin(database, hasher, "other@example.org", "another password")
    with database.transaction() as session:
        (admin,) = session.scalars(select(Admin))
    assert hasher.matches(ADMIN_PASSWORD, admin.password_hash)


def test_an_unfit_first_admin_is_refused(database: Database, hasher: Hasher) -> None:
    with pytest.raises(Refused, match="too short"):
        create_first_admin(database, hasher, ADMIN_EMAIL, "short")


def test_without_a_database_the_application_is_alive_but_not_ready(
    make_app: MakeApp, settings: Settings
) -> None:
    browser = Browser(make_app(replace(settings, database_url=NOWHERE)))
    assert browser.get("/health").status_code == 200
    assert browser.get("/ready").status_code == 503
    answer = browser.get("/login")
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "10"
    assert "The database is not answering" in answer.text
    assert "secret-of-the-url" not in answer.text


def test_the_log_says_once_why_the_first_admin_waits(
    make_app: MakeApp, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    browser = Browser(make_app(settings))
    browser.get("/ready")
    [said] = [text for text in caplog.messages if "waits for it" in text]
    assert "no such table" in said


def test_the_health_check_says_why_the_database_cannot_be_used(make_app: MakeApp, settings: Settings) -> None:
    answer = Browser(make_app(settings)).get("/ready")
    assert answer.status_code == 503 and "no such table" in answer.json["reason"]


def test_a_log_in_while_the_database_is_away_is_answered_kindly(
    make_app: MakeApp, settings: Settings
) -> None:
    app = make_app(replace(settings, database_url=NOWHERE))
    app.config["WTF_CSRF_ENABLED"] = False
    answer = Browser(app).post("/login", email=ADMIN_EMAIL, password=ADMIN_PASSWORD)
    assert answer.status_code == 503 and "The database is not answering" in answer.text


def test_it_recovers_by_itself_and_then_makes_the_first_admin(make_app: MakeApp, settings: Settings) -> None:
    app = make_app(settings)
    browser = Browser(app)
    assert browser.get("/ready").status_code == 503
    make_schema(app.extensions[EXTENSION].database)
    assert browser.get("/ready").json == {"status": "ready"}
    assert browser.log_in().status_code == 303


def test_the_first_starts_schema_is_what_the_migrations_say() -> None:
    stored = (CONFIG / "initdb" / "20-schema.sql").read_text(encoding="utf-8")
    assert stored == schema_sql(), (
        "run: python -m usermgmt.schema_sql > ../config/mariadb/initdb/20-schema.sql"
    )


def test_the_schema_grants_no_hash_to_postfix_and_no_change_of_the_log() -> None:
    grants = [line for line in schema_sql().splitlines() if line.startswith("GRANT")]
    assert not [grant for grant in grants if "postfix" in grant and "password_hash" in grant]
    (log_grant,) = [grant for grant in grants if "audit_log" in grant]
    assert log_grant == "GRANT SELECT, INSERT ON audit_log TO usermgmt;"
