"""What waits in Postfix's queue, as Postfix itself lists it."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from mailctl.core.runtime import Runtime

# From here on the sender is told of the delay (delay_warning_time in main.cf), in seconds.
LATE_SECONDS = 4 * 3600
# A mail that has just come is on its way, not late.
ON_ITS_WAY_SECONDS = 300
DEFERRED, HELD = "deferred", "hold"


@dataclass(frozen=True)
class Waiting:
    """A mail in the queue; `arrived` in epoch seconds, `size` in bytes, `reason` why it was not delivered."""

    id: str
    queue: str
    arrived: int
    size: int
    sender: str
    recipients: tuple[str, ...]
    reason: str

    @property
    def seconds(self) -> float:
        """For how long it has waited."""
        return max(0.0, time.time() - self.arrived)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "recipients": list(self.recipients), "age_seconds": int(self.seconds)}


def waiting(runtime: Runtime) -> list[Waiting]:
    """All of the queue, the oldest first. Raises Refused when Postfix does not answer."""
    return sorted(read(runtime.inside("postfix", ["postqueue", "-j"])), key=lambda one: one.arrived)


def read(listed: str) -> Iterator[Waiting]:
    """The mails of `postqueue -j`, a JSON object a line; what is no such line is left out."""
    for line in listed.splitlines():
        try:
            one = json.loads(line)
            to = [entry for entry in one["recipients"] if isinstance(entry, dict)]
            reasons = (str(entry["delay_reason"]) for entry in to if entry.get("delay_reason"))
            yield Waiting(
                str(one["queue_id"]),
                str(one["queue_name"]),
                int(one["arrival_time"]),
                int(one["message_size"]),
                str(one["sender"]),
                tuple(str(entry.get("address", "")) for entry in to),
                next(reasons, ""),
            )
        except (ValueError, KeyError, TypeError, OverflowError):
            continue
