"""Loads dumps into a MariaDB container, one database each, streamed."""

import gzip
import shutil
import subprocess
import zlib
from pathlib import Path

from mailctl.compose import Compose, last_lines
from mailctl.errors import Problem, Refused

DATABASES = ("mailserver", "roundcube")
# The password is read inside the container: it is on no command line and in no environment of the host.
CLIENT = 'MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) exec mariadb --protocol=socket --user=root "$@"'
EMPTY = "DROP DATABASE IF EXISTS `{0}`; CREATE DATABASE `{0}` CHARACTER SET utf8mb4"


def load(compose: Compose, dumps: Path) -> None:
    """Replace each database by its dump. The accounts keep their passwords and rights, which no dump holds.

    Raises Refused with what the database said.
    """
    container = compose.run("ps", "--quiet", "mariadb").strip()
    for name in DATABASES:
        dump = dumps / f"{name}.sql.gz"
        query(compose, EMPTY.format(name))
        command = ["docker", "exec", "--interactive", container, "sh", "-c", CLIENT, "sh", name]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(compose.environ)
        ) as client:
            wrong = _feed(client, dump)
            said = client.stderr.read().decode("utf-8", "replace") if client.stderr else ""
        if wrong or client.returncode:
            problem = Problem(
                f"mysql/{dump.name}",
                wrong or f"the database refused it (exit code {client.returncode})",
                "use another snapshot; the running database was not touched",
            )
            raise Refused(problem, details=last_lines(said))


def query(compose: Compose, sql: str, database: str = "mysql") -> str:
    """What a statement of root answers, one row a line."""
    client = ("exec", "-T", "mariadb", "sh", "-c", CLIENT, "sh", "--batch", "--skip-column-names", database)
    return compose.run(*client, stdin=sql)


def _feed(client: "subprocess.Popen[bytes]", dump: Path) -> str:
    """Send the dump; returns what is wrong with it."""
    assert client.stdin  # noqa: S101 (it was asked for)
    try:
        with gzip.open(dump) as content, client.stdin:
            shutil.copyfileobj(content, client.stdin, 1 << 20)
    except BrokenPipeError:
        return ""  # the client's own words say why
    except (OSError, EOFError, zlib.error) as error:
        return f"cannot be read: {error}"
    return ""
