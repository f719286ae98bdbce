"""What of the mailboxes only this host has, of several: all since the newest copy that another one holds."""

import time
from pathlib import Path

from mailctl.core import job_results
from mailctl.core.checklist import OK, WARNING, Line
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.folders import hdd
from mailctl.core.hosts import several

JOB = "copy"
#: Below HDD_PATH: a folder for each volume of mailboxes.
SERVED = "mailboxes"
#: A timer copies each minute; seconds after which that has not worked.
LATE_SECONDS = 180.0


def volumes(root: Path) -> list[str]:
    """What this host serves: the folders beside the mark of its shard."""
    return sorted(each.name for each in (root / SERVED).iterdir() if each.is_dir() and each.name[0] != ".")


def at_risk(context: Context, now: float | None = None) -> dict[str, float | None]:
    """For each volume the seconds that no other host has; None: all of it. Raises Refused."""
    last = (job_results.last(context, JOB) or {}).get("last_good") or {}
    copied = last.get("document", {}).get("copied", {})
    moment = time.time() if now is None else now
    return {name: moment - copied[name] if name in copied else None for name in volumes(hdd(context))}


def lines(context: Context) -> list[Line]:
    """A line for each volume, for make status; nothing on a server of one host."""
    if not several(context):
        return []
    try:
        return [_line(name, seconds) for name, seconds in at_risk(context).items()]
    except Refused as refusal:
        return [Line("second copy", WARNING, str(refusal), refusal.problems[0].fix)]


def _line(name: str, seconds: float | None) -> Line:
    fix = ".venv/bin/mailctl node copy says why: is the next host there?"
    if seconds is None:
        return Line("second copy", WARNING, f"volume {name} was never copied to another host", fix)
    found = f"of volume {name} the last {seconds:.0f} seconds are on this host alone"
    return Line("second copy", WARNING if seconds > LATE_SECONDS else OK, found, fix)
