"""The stand-in for Roundcube: fixed secret names, its own tables, nothing but the public folder served."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.standins.hardened import Container, docker

HEALTH = ("curl", "-fsS", "-o", "/dev/null", "http://localhost:8000/")
SECRETS = {"roundcube_db_password": "rounds", "roundcube_des_key": "123456789012345678901234"}
SITE = "<?php\n$config['product_name'] = 'Probe Mail';\n"
WRITABLE = (
    *("--tmpfs=/tmp", "--tmpfs=/run/apache2:uid=33,gid=33"),
    "--tmpfs=/var/www/html:exec,uid=33,gid=33",
)


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A network without a way out, as in the compose file."""
    name = f"standins-test-{uuid.uuid4().hex[:8]}"
    assert docker("network", "create", "--internal", name).returncode == 0
    yield name
    docker("network", "rm", "--force", name)


@pytest.fixture(scope="module")
def roundcube(network: str, start: Callable[..., Container], folder: Path) -> Container:
    """A server on an empty database, started before the database answers."""
    for name, text in SECRETS.items():
        (folder / name).write_text(text)
    (folder / "site.php").write_text(SITE)
    mounts = [f"--volume={folder}/{name}:/run/secrets/{name}:ro" for name in SECRETS]
    settings = {"DB_TYPE": "mysql", "DB_HOST": "mariadb", "DB_NAME": "mail", "DB_USER": "round"}
    settings |= {"PLUGINS": "archive,zipdownload,managesieve,password", "DEFAULT_HOST": "tls://dovecot"}
    container = start(
        "roundcube",
        *("--user=33:33", f"--network={network}", *WRITABLE, *mounts),
        f"--volume={folder}/site.php:/var/roundcube/config/site.php:ro",
        *(f"--env=ROUNDCUBEMAIL_{name}={value}" for name, value in settings.items()),
    )
    database = {"MARIADB_ROOT_PASSWORD": "x", "MARIADB_DATABASE": "mail", "MARIADB_USER": "round"}
    database["MARIADB_PASSWORD"] = SECRETS["roundcube_db_password"]
    start(
        "mariadb",
        *("--user=999:999", f"--network={network}", "--network-alias=mariadb", "--tmpfs=/tmp"),
        *("--tmpfs=/run/mysqld:uid=999,gid=999", "--env=MARIADB_INITDB_SKIP_TZINFO=1"),
        *(f"--env={name}={value}" for name, value in database.items()),
    )
    container.wait_healthy(*HEALTH)
    return container


def test_the_log_in_page_has_the_sites_settings(roundcube: Container) -> None:
    page = roundcube.execute("curl", "-fsS", "http://localhost:8000/").stdout
    assert "<title>Probe Mail" in page
    assert "rcmloginuser" in page


def test_it_made_its_tables_with_the_password_from_the_secret_file(roundcube: Container) -> None:
    assert "Creating database schema... [OK]" in roundcube.log()


def test_the_encryption_key_comes_from_the_secret_file_unchanged(roundcube: Container) -> None:
    program = (
        "define('INSTALL_PATH', '/var/www/html/'); require INSTALL_PATH . 'program/include/clisetup.php';"
    )
    program += "echo rcube::get_instance()->config->get('des_key');"
    assert roundcube.execute("php", "-r", program).stdout == SECRETS["roundcube_des_key"]


@pytest.mark.parametrize(
    "path", ["config/config.docker.inc.php", "bin/initdb.sh", "SQL/mysql.initial.sql", "logs/"]
)
def test_nothing_outside_the_public_folder_is_served(roundcube: Container, path: str) -> None:
    answer = roundcube.execute(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"http://localhost:8000/{path}"
    )
    assert answer.stdout in ("403", "404")


@pytest.mark.parametrize("plugin", ["managesieve", "archive", "zipdownload", "password", "markasjunk"])
def test_the_plugins_of_a_release_are_there(roundcube: Container, plugin: str) -> None:
    assert roundcube.succeeds("test", "-f", f"/var/www/html/plugins/{plugin}/{plugin}.php")


def test_mounted_php_settings_hold_and_the_upload_variable_has_no_effect(roundcube: Container) -> None:
    assert roundcube.execute("php", "-r", "echo ini_get('upload_max_filesize');").stdout == "5M"
    assert roundcube.succeeds("test", "-w", "/var/www/html")
    assert not roundcube.succeeds("test", "-w", "/usr/local/etc/php/conf.d")


def test_a_restart_on_its_filled_database_works(roundcube: Container) -> None:
    docker("restart", roundcube.name)
    roundcube.wait_healthy(*HEALTH)
    assert roundcube.log().count("Creating database schema") == 1
