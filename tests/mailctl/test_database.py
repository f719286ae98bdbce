"""A snapshot of an older version is brought to this one, by the SQL that a first start runs."""

from pathlib import Path

import pytest

from mailctl.core import database
from mailctl.core.compose import Compose
from tests.places import REPOSITORY

SCHEMA = REPOSITORY / database.SCHEMA


class Server:
    """Stands for the client in MariaDB's container: tells a revision, and keeps what it is sent."""

    def __init__(self, revision: str) -> None:
        self.revision, self.sent = revision, list[str]()

    def answer(self, _compose: Compose, sql: str, _database: str = "mysql") -> str:
        if sql == database.REVISION:
            return f"{self.revision}\n"
        self.sent.append(sql)
        return ""


@pytest.mark.parametrize(
    ("revision", "first"), [("0001", "-- Running upgrade 0001 -> 0002"), ("0018", ""), ("9999", "")]
)
def test_only_the_migrations_that_a_snapshot_lacks_are_run(
    revision: str, first: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Server(revision)
    monkeypatch.setattr(database, "query", server.answer)
    database.migrate(Compose(tmp_path), SCHEMA.parents[3])
    assert [sql.partition("\n")[0] for sql in server.sent] == ([first] if first else [])
    assert not any("CREATE TABLE domains" in sql for sql in server.sent)
