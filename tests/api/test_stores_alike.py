"""A file and a shared database answer alike, whatever was asked of them before."""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from real_mariadb import MariaDb

from mailserver_api import forwards
from mailserver_api.ledger import Ledger, add_forwards
from mailserver_api.metrics import Metrics
from mailserver_api.stores import FileStore, Work
from mailserver_api.verdicts import Outcome, Reply, Stage, Verdict

EXAMPLES = int(os.environ.get("STORE_EXAMPLES", "30"))
KEYS = st.sampled_from(["a" * 64, "A" * 64, "retry-0123456789ab"])
PLACES = st.sampled_from(["old@x.example", "OLD@x.example", "two@x.example", "x" * 200 + "@" + "y" * 100])
REASONS = st.sampled_from(["", "spool", "Spool", "550 no such user \u65e5\u672c", "x" * 300])
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("record"), KEYS, st.sampled_from([*Verdict]), st.lists(PLACES, max_size=3, unique=True)
        ),
        st.tuples(st.just("find"), KEYS),
        st.tuples(st.just("own"), KEYS, PLACES),
        st.tuples(st.just("hand"), KEYS, st.booleans(), st.sampled_from([-1, 60])),
        st.tuples(st.just("settle"), KEYS, PLACES, REASONS),
        st.tuples(st.just("failed")),
    ),
    max_size=12,
)
#: Times do not count: the two are asked one after the other.
NOW = 2_000_000_000


def work_of(step: tuple[Any, ...]) -> Callable[[Work], object]:
    """What a step does with the rows."""
    match step:
        case ("own", key, place):
            return lambda work: add_forwards(work, key, [("r@here.example", place, "own")], NOW)
        case ("hand", key, can, lease):
            return lambda work: [
                *map(str, (found := forwards._hand_out(work, key, can, lease))[:1]),
                sorted(found[1]),
            ]
        case ("settle", key, place, reason):
            return lambda work: forwards._settle(work, key, place, reason)
    return lambda work: sorted(str({**row, "at": 0}) for row in forwards._failed(work))


async def answers(ledger: Ledger, steps: list[tuple[Any, ...]]) -> list[object]:
    """What a ledger says to each step; None would be an error."""
    said: list[object] = []
    for step in steps:
        match step:
            case ("record", key, verdict, places):
                outcome = Outcome(verdict, Reply(Stage.MESSAGE, 250, "Ok"), "Q1")
                rows = [("r@here.example", place, "") for place in places]
                said.append(await ledger.record(key, outcome, rows) is not None)
            case ("find", key):
                said.append(await ledger.find(key))
            case _:
                said.append(await ledger.use(work_of(step)))
    return said


@pytest.fixture(scope="module")
def ledgers(
    database: MariaDb, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], list[Ledger]]]:
    """A new file and an empty database."""
    folder, number = tmp_path_factory.mktemp("files"), itertools.count()
    shared = database.store()
    connection = shared.open()

    def both() -> list[Ledger]:
        for table in ("outcomes", "forwards"):
            Work(shared, connection).rows(f"DELETE FROM {table}")  # noqa: S608
        stores = FileStore(Path(folder, f"{next(number)}.db")), shared
        return [Ledger(store, 100, Metrics().ledger_errors, lambda: NOW) for store in stores]

    yield both
    connection.close()


@given(steps=STEPS)
@examples(max_examples=EXAMPLES)
def test_both_stores_say_the_same(ledgers: Callable[[], list[Ledger]], steps: list[tuple[Any, ...]]):
    async def compare() -> None:
        said = []
        for ledger in ledgers():
            said.append(await answers(ledger, steps))
            await ledger.close()
        assert said[0] == said[1]

    asyncio.run(compare())
