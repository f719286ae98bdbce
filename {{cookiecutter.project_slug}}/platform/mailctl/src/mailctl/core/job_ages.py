"""How old the last good backup, upload and drill are: what nobody looks at goes stale."""

import time
from dataclasses import dataclass
from typing import Any

from mailctl.core import hosts
from mailctl.core.context import Context

HOUR, DAY = 3600, 86400


@dataclass(frozen=True)
class Limit:
    """After how many seconds a job's last good run is too old, and what to do about it."""

    seconds: int
    repair: str
    #: The setting without which the job has nothing to do.
    needs: str = ""


# Two hours beyond a day: timers are spread over some minutes, and a run takes its time.
LIMITS = {
    "backup": Limit(26 * HOUR, "make backup"),
    "sync": Limit(26 * HOUR, "make sync", needs="BACKUP_BUCKET"),
    "drill": Limit(35 * DAY, "make drill"),
}


@dataclass(frozen=True)
class Age:
    """Seconds since the last good run of a job, None: never; `failed`: a later run did not end well."""

    what: str
    seconds: float | None
    failed: bool
    limit: Limit

    @property
    def late(self) -> bool:
        return self.seconds is None or self.seconds > self.limit.seconds

    def as_dict(self) -> dict[str, object]:
        age = None if self.seconds is None else int(self.seconds)
        limit = self.limit.seconds
        return {
            "what": self.what,
            "age_seconds": age,
            "late": self.late,
            "failed": self.failed,
            "limit_seconds": limit,
        }


def ages(context: Context, now: float | None = None) -> list[Age]:
    """The age of each job that this host has; nothing where the disk is not set up yet."""
    from mailctl.core.errors import Refused
    from mailctl.core.job_results import last

    found = []
    try:
        row = hosts.here(context)
        if row is not None and not (row.get("shard") or row.get("database")):
            return []  # of several hosts one that keeps nothing
        for what, limit in LIMITS.items():
            if not limit.needs or context.setting(limit.needs):
                found.append(_age(what, limit, last(context, what) or {}, now or time.time()))
    except Refused:
        return []
    return found


def _age(what: str, limit: Limit, state: dict[str, Any], now: float) -> Age:
    good = state.get("last_good")
    # A clock that was set back must not make an old run look newer than now.
    seconds = max(0.0, now - good["at"]) if good else None
    return Age(what, seconds, state.get("ok") is False, limit)
