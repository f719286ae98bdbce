"""`python -m mailserver_api.recall key|queue_id VALUE`: what the ledger remembers, for mailctl.

Prints JSON: a list of verdict, code, text and time (epoch seconds). Exit 1 when the store cannot be read.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence

from mailserver_api.settings import Settings
from mailserver_api.stores import Work, store_of

COLUMNS = ("key", "queue_id")


def recall(environ: Mapping[str, str], words: Sequence[str]) -> str:
    """The rows of one key or queue id. Raises what the store raises, and ValueError for other words."""
    column, value = words
    if column not in COLUMNS:
        raise ValueError(f"{column!r} is none of {', '.join(COLUMNS)}")
    store = store_of(Settings.from_environment(environ))
    connection = store.open()
    try:
        rows = Work(store, connection).rows(
            f"SELECT verdict, code, text, at FROM outcomes WHERE `{column}` = ?",  # noqa: S608 (one of COLUMNS)
            value,
        )
    finally:
        connection.close()
    return json.dumps(rows)


if __name__ == "__main__":
    print(recall(os.environ, sys.argv[1:]))
