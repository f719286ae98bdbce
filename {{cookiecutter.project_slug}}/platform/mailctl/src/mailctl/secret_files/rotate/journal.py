"""What a rotation is about to do, kept beside the secrets: a run that was killed is settled by the next."""

import json
from dataclasses import asdict, dataclass

from mailctl.secret_files.store import Store
from mailctl.secret_files.table import OWNER_ONLY

FILE = ".rotation"
# Until PROVEN the old value is valid, and what a settled run goes back to; from then on it is the new one.
BEGUN, PROVEN = "begun", "proven"


@dataclass(frozen=True)
class Journal:
    """One rotation under way: the file's former and its new content."""

    name: str
    old: str
    new: str
    phase: str = BEGUN

    def write(self, store: Store, file: str = FILE) -> None:
        store.write(file, json.dumps(asdict(self)).encode(), OWNER_ONLY)


def read(store: Store, file: str = FILE) -> Journal | None:
    """The rotation that is under way; None when there is none. Raises Refused when it cannot be read."""
    found = store.read(file)
    return Journal(**json.loads(found)) if found else None
