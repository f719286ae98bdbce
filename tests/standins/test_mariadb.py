"""The stand-in for MariaDB: first start from secret files, init files in order, its own health user."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standins.hardened import Container, docker, wait_until

CONFIG = Path(__file__).resolve().parents[2] / "{{cookiecutter.project_slug}}" / "config" / "mariadb"
#: Not in a repository for one host.
OF_SEVERAL_HOSTS = ("30-members.sql", "40-ledger.sh")
SECRETS = (
    "root",
    "owner",
    *(f"{name}_db" for name in ("postfix", "dovecot", "roundcube", "usermgmt", "backup")),
)
HEALTH = ("healthcheck.sh", "--connect", "--innodb_initialized")
# What an operator's init files may rely on: order, the database, root, a server that nobody else reaches yet.
INIT_FILES = {
    "10-accounts.sh": """#!/bin/sh
set -eu
code=0
healthcheck.sh --connect || code=$?
MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --skip-ssl --user=root "$MARIADB_DATABASE" \
  --execute="CREATE TABLE health (code INT); INSERT INTO health VALUES ($code);
    CREATE USER reader@'%' IDENTIFIED BY 'readers-word'; GRANT SELECT ON $MARIADB_DATABASE.* TO reader@'%'"
""",
    "15-sourced.sh": 'docker_process_sql <<<"CREATE TABLE sourced (i INT)"\n',
    "20-schema.sql": "INSERT INTO sourced VALUES (42);\n",
}


@pytest.fixture(scope="module")
def options(folder: Path) -> list[str]:
    """The options of the compose file's service."""
    secrets, init = folder / "secrets", folder / "init"
    secrets.mkdir()
    init.mkdir()
    (folder / "site.cnf").write_text("[mariadb]\nhost-cache-size = 7\n")
    (secrets / "root").write_text("roots-word")
    (secrets / "owner").write_text("owner's \\word")
    for name, text in INIT_FILES.items():
        (init / name).write_text(text)
    (init / "10-accounts.sh").chmod(0o755)
    return [
        *("--user=999:999", "--tmpfs=/tmp", "--tmpfs=/run/mysqld:uid=999,gid=999"),
        *(f"--volume={secrets}:/run/secrets:ro", f"--volume={init}:/docker-entrypoint-initdb.d:ro"),
        *("--env=MARIADB_ROOT_PASSWORD_FILE=/run/secrets/root", "--env=MARIADB_DATABASE=mailserver"),
        *("--env=MARIADB_USER=owner", "--env=MARIADB_PASSWORD_FILE=/run/secrets/owner"),
        *("--env=MARIADB_AUTO_UPGRADE=1", f"--volume={folder}/site.cnf:/etc/mysql/conf.d/site.cnf:ro"),
    ]


@pytest.fixture(scope="module")
def mariadb(start: Callable[..., Container], options: list[str]) -> Container:
    """A server after its first start."""
    container = start("mariadb", *options)
    container.wait_healthy(*HEALTH)
    return container


def ask(container: Container, user: str, password: str, sql: str) -> str:
    """Run SQL over TCP and return what it prints, or the error."""
    result = container.execute(
        *("env", f"MYSQL_PWD={password}", "mariadb", "--host=127.0.0.1", f"--user={user}"),
        *("--skip-column-names", "--batch", "mailserver", f"--execute={sql}"),
    )
    return (result.stdout or result.stderr).strip()


def test_the_owner_logs_in_with_the_password_from_the_secret_file(mariadb: Container) -> None:
    assert ask(mariadb, "owner", "owner's \\word", "SELECT DATABASE()") == "mailserver"


def test_root_needs_the_password_from_the_secret_file(mariadb: Container) -> None:
    assert ask(mariadb, "root", "roots-word", "SELECT 1") == "1"
    assert "Access denied" in ask(mariadb, "root", "", "SELECT 1")


def test_every_account_that_the_first_start_leaves_has_a_password(mariadb: Container) -> None:
    sql = (
        "SELECT user FROM mysql.user WHERE authentication_string IN ('', 'invalid') AND user != 'mariadb.sys'"
    )
    assert ask(mariadb, "root", "roots-word", sql) == ""


def test_init_files_ran_in_order_executed_sourced_and_fed_to_the_database(mariadb: Container) -> None:
    assert ask(mariadb, "reader", "readers-word", "SELECT i FROM sourced") == "42"


def test_it_was_not_healthy_while_the_init_files_ran(mariadb: Container) -> None:
    assert ask(mariadb, "root", "roots-word", "SELECT code FROM health") == "1"


def test_the_operators_conf_d_has_the_last_word(mariadb: Container) -> None:
    assert ask(mariadb, "root", "roots-word", "SELECT @@host_cache_size") == "7"


def test_no_password_stays_in_the_servers_environment(mariadb: Container) -> None:
    environment = mariadb.execute("cat", "/proc/1/environ").stdout
    assert "roots-word" not in environment
    assert "owner's" not in environment


def test_a_restart_keeps_the_data_and_neither_initialises_nor_upgrades_again(mariadb: Container) -> None:
    docker("restart", mariadb.name)
    mariadb.wait_healthy(*HEALTH)
    assert ask(mariadb, "reader", "readers-word", "SELECT COUNT(*) FROM sourced") == "1"
    assert mariadb.log().count("initialising") == 1
    assert "no upgrade needed" in mariadb.log()


def test_a_first_start_without_a_root_password_is_refused(start: Callable[..., Container]) -> None:
    container = start("mariadb", "--user=999:999", "--tmpfs=/tmp", "--tmpfs=/run/mysqld:uid=999,gid=999")
    docker("wait", container.name)
    assert "no root password" in container.log()


@pytest.fixture(scope="module")
def as_in_the_compose_file(folder: Path) -> list[str]:
    """The repository's own entry point and init files, with secrets."""
    secrets, init = folder / "own-secrets", folder / "own-init"
    secrets.mkdir()
    shutil.copytree(CONFIG / "initdb", init, ignore=shutil.ignore_patterns(*OF_SEVERAL_HOSTS))
    for name in SECRETS:
        file = f"mariadb_{name}_password" if name in ("root", "owner") else f"{name}_password"
        (secrets / file).write_text(f"word-of-{name.replace('_', '-')}")
    return [
        *("--user=999:999", "--tmpfs=/tmp", "--tmpfs=/run/mysqld:uid=999,gid=999"),
        *(f"--volume={secrets}:/run/secrets:ro", f"--volume={init}:/docker-entrypoint-initdb.d:ro"),
        f"--volume={CONFIG}/start.sh:/usr/local/bin/start-mariadb:ro",
        "--env=MARIADB_ROOT_PASSWORD_FILE=/run/secrets/mariadb_root_password",
        *(
            "--env=MARIADB_DATABASE=mailserver",
            "--env=MARIADB_AUTO_UPGRADE=1",
            "--env=MARIADB_USER=mailserver",
        ),
        "--env=MARIADB_PASSWORD_FILE=/run/secrets/mariadb_owner_password",
        "--entrypoint=/usr/local/bin/start-mariadb",
    ]


@pytest.mark.parametrize(
    "moment", ["initialising", "starting a temporary server", "10-accounts", "20-schema"]
)
def test_a_first_start_that_was_cut_off_begins_again(
    start: Callable[..., Container], as_in_the_compose_file: list[str], moment: str
) -> None:
    container = start("mariadb", *as_in_the_compose_file, command=("mariadbd",))
    wait_until(lambda: moment in container.log(), moment)
    docker("kill", container.name)
    docker("start", container.name)
    container.wait_healthy(*HEALTH)
    version = "SELECT COUNT(*) FROM alembic_version"
    assert ask(container, "usermgmt", "word-of-usermgmt-db", version) == "1"


def test_a_first_start_that_ended_is_kept_whatever_happens_later(
    start: Callable[..., Container], as_in_the_compose_file: list[str]
) -> None:
    container = start("mariadb", *as_in_the_compose_file, command=("mariadbd",))
    container.wait_healthy(*HEALTH)
    root = ("root", "word-of-root")
    ask(container, *root, "INSERT INTO domains (name) VALUES ('kept.example')")
    docker("kill", container.name)
    docker("start", container.name)
    container.wait_healthy(*HEALTH)
    assert ask(container, *root, "SELECT name FROM domains WHERE name = 'kept.example'") == "kept.example"
