"""A plan: what apply would change, in its order, and what it leaves alone and why."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

CREATE, UPDATE, DELETE, ADOPT = "create", "update", "delete", "adopt"
# Why something is only shown: somebody else's; that and in the way; ours and no longer in the file; not to be
# known from here; what comes with the MX switch; what somebody else gives; what waits for a confirmation.
FOREIGN, CONFLICT, UNNEEDED, WAITING, LATER = "foreign", "conflict", "unneeded", "waiting", "later"
BY_HAND, UNCONFIRMED = "by hand", "unconfirmed"

# The order of apply: what carries mail is there before the first message can arrive, the log-in page is
# guarded before it can be reached, and what others had is removed last.
TUNNEL, TOKEN, ACCESS, INGRESS, RECORDS, DESTINATIONS, STORES, WORKER, RULES, ROUTING, SPF, REMOVAL = range(
    12
)


@dataclass(frozen=True)
class Change:
    """One step. `before` and `after` are what is shown, so they never hold a secret; `run` does it."""

    step: int
    action: str
    kind: str
    name: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    scope: str
    run: Callable[[], object] = field(compare=False, repr=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "action": self.action,
            "kind": self.kind,
            "name": self.name,
            "before": dict(self.before),
            "after": dict(self.after),
        }


@dataclass(frozen=True)
class Note:
    """Something that apply does not touch; `text` says what it is or what to do.

    `fix` is for a conflict that is not solved by taking over what is there.
    """

    why: str
    kind: str
    name: str
    text: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """All changes in the order of apply."""

    changes: tuple[Change, ...]
    notes: tuple[Note, ...]

    @property
    def id(self) -> str:
        """Twelve characters that differ when the changes do: `apply --plan ID` does this plan or nothing."""
        text = json.dumps([change.as_dict() for change in self.changes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def noted(self, why: str) -> list[Note]:
        return [note for note in self.notes if note.why == why]

    def as_dict(self) -> dict[str, Any]:
        changes = [change.as_dict() for change in self.changes]
        return {"plan": self.id, "changes": changes, "notes": [note.as_dict() for note in self.notes]}


def planned(items: list[Change | Note]) -> Plan:
    changes = sorted((item for item in items if isinstance(item, Change)), key=lambda change: change.step)
    return Plan(tuple(changes), tuple(item for item in items if isinstance(item, Note)))
