"""The databases from outside: dumps by an account that only reads, statements and loads as root.

Both are streamed through gzip, never whole in memory.
"""

import gzip
import re
import shutil
import subprocess
import zlib
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO

from mailctl.core.compose import Compose, last_lines
from mailctl.core.containers import failed, output, running, start
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.hosts import several
from mailctl.core.members import one_of, source

DATABASES = ("mailserver", "roundcube")
ACCOUNT = (
    "MYSQL_PWD=$(cat /run/secrets/backup_db_password); export MYSQL_PWD; exec {program} --no-defaults"
    " --protocol=socket --socket=/run/mysqld/mysqld.sock --skip-ssl --user=backup"
)
# One transaction: a dump of one moment, while mail flows and people edit accounts.
DUMP = f'{ACCOUNT.format(program="mariadb-dump")} --single-transaction --quick --hex-blob "$1"'
QUERY = f'{ACCOUNT.format(program="mariadb")} --batch --skip-column-names --execute="$1" mailserver'
# The password is read inside the container: it is on no command line and in no environment of the host.
CLIENT = 'MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) exec mariadb --protocol=socket --user=root "$@"'
EMPTY = "DROP DATABASE IF EXISTS `{0}`; CREATE DATABASE `{0}` CHARACTER SET utf8mb4"
REVISION = "SELECT version_num FROM alembic_version"
# Every migration as SQL, in order: what a first start runs.
SCHEMA = Path("config/mariadb/initdb/20-schema.sql")
STEP = re.compile(r"(?m)^-- Running upgrade \S* -> (\S+)$")
CHUNK, LEVEL, GZIP = 1 << 18, 6, 31
LAST_LINE = b"-- Dump completed"


def dump(context: Context, folder: Path) -> list[str]:
    """Write mysql/NAME.sql.gz for each database. Raises Refused when a dump fails or ends early."""
    with _source(context) as container:
        (folder / "mysql").mkdir()
        for name in DATABASES:
            _dump_one(container, name, folder / "mysql" / f"{name}.sql.gz")
    return [f"mysql/{name}.sql.gz" for name in DATABASES]


def _source(context: Context) -> AbstractContextManager[str]:
    """The container to dump from."""
    return source(context) if several(context) else nullcontext(running(context, "mariadb"))


def schema_revision(context: Context) -> str | None:
    """The Alembic revision of the accounts' tables; None when it cannot be asked."""
    try:
        container = one_of(context) if several(context) else running(context, "mariadb")
        answer = output(container, "sh", "-c", QUERY, "sh", REVISION)
    except (Refused, OSError):
        return None
    return answer.decode().strip() or None


def _dump_one(container: str, name: str, target: Path) -> None:
    with start(container, "sh", "-c", DUMP, "sh", name) as process, target.open("xb") as file:
        if process.stdout is None or process.stderr is None:
            raise ValueError("the dump was started without pipes")
        try:
            end = _compress(process.stdout, file)
        except BaseException:
            process.kill()
            raise
        said = process.stderr.read()
    if process.returncode:
        raise Refused(failed(f"mariadb-dump {name}", said))
    if LAST_LINE not in end:
        raise Refused(
            Problem(f"mariadb-dump {name}", "ended before its last line", "make logs, service mariadb")
        )


def _compress(source: IO[bytes], target: IO[bytes]) -> bytes:
    """Compress all of `source`; its last bytes."""
    packer, end = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP), b""
    while chunk := source.read(CHUNK):
        target.write(packer.compress(chunk))
        end = (end + chunk)[-200:]
    target.write(packer.flush())
    return end


def load(compose: Compose, dumps: Path) -> None:
    """Replace each database by its dump. The accounts keep their passwords and rights, which no dump holds.

    Raises Refused with what the database said.
    """
    container = compose.run("ps", "--quiet", "mariadb").strip()
    for name in DATABASES:
        file = dumps / f"{name}.sql.gz"
        query(compose, EMPTY.format(name))
        command = ["docker", "exec", "--interactive", container, "sh", "-c", CLIENT, "sh", name]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(compose.environ)
        ) as client:
            wrong = _feed(client, file)
            said = client.stderr.read().decode("utf-8", "replace") if client.stderr else ""
        if wrong or client.returncode:
            problem = Problem(
                f"mysql/{file.name}",
                wrong or f"the database refused it (exit code {client.returncode})",
                "use another snapshot; the running database was not touched",
            )
            raise Refused(problem, details=last_lines(said))


def migrate(compose: Compose, repo: Path) -> None:
    """Bring tables of an older version, as `load` has put them there, to the one of this repository.

    Those of a newer version stay as they are. Raises Refused with what the database said.
    """
    found = query(compose, REVISION, "mailserver").strip()
    text = (repo / SCHEMA).read_text("utf-8")
    steps = list(STEP.finditer(text))
    known = [step[1] for step in steps]
    if found in known[:-1]:
        query(compose, text[steps[known.index(found) + 1].start() :], "mailserver")


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
