"""Dumps of the databases, by an account that can only read: streamed through gzip, never whole in memory."""

import zlib
from pathlib import Path
from typing import IO

from mailctl.containers import failed, output, running, start
from mailctl.context import Context
from mailctl.errors import Problem, Refused

DATABASES = ("mailserver", "roundcube")
ACCOUNT = (
    "MYSQL_PWD=$(cat /run/secrets/backup_db_password); export MYSQL_PWD; exec {program} --no-defaults"
    " --protocol=socket --socket=/run/mysqld/mysqld.sock --skip-ssl --user=backup"
)
# One transaction: a dump of one moment, while mail flows and people edit accounts.
DUMP = f'{ACCOUNT.format(program="mariadb-dump")} --single-transaction --quick --hex-blob "$1"'
QUERY = f'{ACCOUNT.format(program="mariadb")} --batch --skip-column-names --execute="$1" mailserver'
CHUNK, LEVEL, GZIP = 1 << 18, 6, 31
LAST_LINE = b"-- Dump completed"


def dump(context: Context, folder: Path) -> list[str]:
    """Write mysql/NAME.sql.gz for each database. Raises Refused when a dump fails or ends early."""
    container = running(context, "mariadb")
    (folder / "mysql").mkdir()
    for name in DATABASES:
        _dump_one(container, name, folder / "mysql" / f"{name}.sql.gz")
    return [f"mysql/{name}.sql.gz" for name in DATABASES]


def schema_revision(context: Context) -> str | None:
    """The Alembic revision of the accounts' tables; None when it cannot be asked."""
    try:
        container = running(context, "mariadb")
        answer = output(container, "sh", "-c", QUERY, "sh", "SELECT version_num FROM alembic_version")
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
