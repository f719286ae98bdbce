"""Where the ledger's rows are: in a file of this process, or in a database that all replicas share.

Statements are written once, in the SQL that SQLite and MariaDB have in common. Where they differ, `{ignore}`
and `{lock}` in a statement stand for the store's own words, and `?` for a value.
"""

import sqlite3
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import pymysql  # type: ignore[import-untyped]  # it has no types of its own

from mailserver_api.settings import Settings

ACCOUNT = "ledger"
CONNECT_SECONDS, ANSWER_SECONDS = 3, 10
#: The server ends a session that is silent for so long, and with it the claims of a host that burnt.
SILENT_SECONDS = 30
# While nobody answers, mails do not queue up behind attempts to connect.
PAUSE_SECONDS = 1.0
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# Of accepted mails (forwards.py): `state` is named, due, done or failed, `handed` when a Worker got it last.
_FILE_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS outcomes(`key` TEXT PRIMARY KEY, verdict TEXT NOT NULL, queue_id TEXT,"
    " code INTEGER, text TEXT, at INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS forwards(`key` TEXT NOT NULL, destination TEXT NOT NULL,"
    " recipient TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,"
    " at INTEGER NOT NULL, handed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY(`key`, destination)) WITHOUT ROWID",
)


class Store(Protocol):
    """One kind of database. `name` is for the log, `errors` are what its work may raise."""

    name: str
    is_shared: bool
    errors: tuple[type[Exception], ...]
    #: Of these, what a new connection may heal.
    lost: tuple[type[Exception], ...]
    #: How a transaction begins, and what stands for `{ignore}`, `{lock}` and `?`.
    begin: str
    ignore: str
    lock: str
    value: str

    def open(self) -> Any:
        """A new connection (PEP 249); raises one of `errors`."""

    def is_damaged(self, error: Exception) -> bool:
        """Whether the rows cannot be used any more."""

    def set_aside(self) -> None:
        """Put what is damaged out of the way; raises OSError."""


class Work:
    """One connection, and statements on it."""

    def __init__(self, store: Store, connection: Any) -> None:
        self._store = store
        self._connection = connection

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What a statement finds."""
        cursor = self._connection.cursor()
        cursor.execute(self._text(statement), values)
        return list(cursor.fetchall())

    def change(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Run a statement once for each row of values."""
        self._connection.cursor().executemany(self._text(statement), list(rows))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on disk at the end."""
        self.rows(self._store.begin)
        try:
            yield
        except BaseException:
            with suppress(*self._store.errors):
                self.rows("ROLLBACK")
            raise
        self.rows("COMMIT")

    def _text(self, statement: str) -> str:
        store = self._store
        words = statement.replace("{ignore}", store.ignore).replace("{lock}", store.lock)
        return words.replace("?", store.value)


class FileStore:
    """One SQLite file. A damaged one is kept beside it, for whoever wants to look."""

    is_shared = False
    errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
    lost: tuple[type[Exception], ...] = ()
    begin, ignore, lock, value = "BEGIN IMMEDIATE", "OR IGNORE", "", "?"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def open(self) -> sqlite3.Connection:
        """Open the file; it is made if there is none."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=2, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA trusted_schema = OFF")
            for table in _FILE_SCHEMA:
                db.execute(table)
        except BaseException:
            db.close()
            raise
        return db

    def is_damaged(self, error: Exception) -> bool:
        """Whether the file is no database any more."""
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED

    def set_aside(self) -> None:
        """Rename the file; the next one is empty."""
        self.path.replace(self.path.with_suffix(".damaged"))
        for companion in ("-wal", "-shm"):
            Path(f"{self.path}{companion}").unlink(missing_ok=True)


class SharedStore:
    """The database `ledger` of MariaDB, by an account that can do no more than change its rows.

    With `ca_file`, TLS with a certificate of that CA is demanded. The password is read at each connection.
    """

    is_shared = True
    errors: tuple[type[Exception], ...] = (pymysql.MySQLError, OSError)
    lost: tuple[type[Exception], ...] = (pymysql.OperationalError, pymysql.InterfaceError, OSError)
    begin, ignore, lock, value = "BEGIN", "IGNORE", " FOR UPDATE", "%s"

    def __init__(self, host: str, port: int, password_file: Path, ca_file: Path | None) -> None:
        self._host, self._port = host, port
        self._password_file, self._ca_file = password_file, ca_file
        self._failed: tuple[float, Exception] = (float("-inf"), OSError())
        self.name = f"{host}:{port}"

    def open(self) -> Any:
        """Connect; for a moment after an attempt that failed, fail again at once."""
        at, error = self._failed
        if time.monotonic() - at < PAUSE_SECONDS:
            raise error.with_traceback(None)
        try:
            return self._connect()
        except self.errors as failed:
            self._failed = (time.monotonic(), failed)
            raise

    def _connect(self) -> Any:
        context = ssl.create_default_context(cafile=str(self._ca_file)) if self._ca_file else None
        return pymysql.connect(
            host=self._host,
            port=self._port,
            user=ACCOUNT,
            password=self._password_file.read_text().strip(),
            database=ACCOUNT,
            ssl=context,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            # What another replica has just committed is seen.
            init_command=f"SET SESSION wait_timeout = {SILENT_SECONDS},"
            " transaction_isolation = 'READ-COMMITTED'",
        )

    def is_damaged(self, error: Exception) -> bool:
        """Never: that is the database's to find and to repair."""
        return False

    def set_aside(self) -> None:
        """Nothing is ever put out of the way here."""


def store_of(settings: Settings) -> Store:
    """Where outcomes are by these settings: in a file, or in the database that the replicas share."""
    if not settings.ledger_host:
        return FileStore(settings.state_dir / "outcomes.db")
    account = settings.ledger_password_file, settings.ledger_ca_file
    return SharedStore(settings.ledger_host, settings.ledger_port, *account)
