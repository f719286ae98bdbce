"""What came of the last backup, sync and drill: for `mailctl status`, and as metrics for a collector."""

import json
import time
from typing import Any

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.folders import hdd

FOLDER = ".mailctl"
# What imports have fetched, and what they have done: a folder for each mailbox.
IMPORTS = f"{FOLDER}/import"
HELP = {
    "last_run_timestamp_seconds": "When it last ended, well or not.",
    "last_run_success": "1 when the last run ended well.",
    "last_success_timestamp_seconds": "When it last ended well; 0: never.",
}


def record(context: Context, what: str, ok: bool, document: dict[str, Any]) -> None:
    """Keep the outcome of a run of `what` (backup, sync, drill), or warn that it could not be kept."""
    try:
        _record(context, what, ok, document)
    except (OSError, Refused) as error:
        context.out.warn(f"the outcome could not be kept for make status: {error}")


def _record(context: Context, what: str, ok: bool, document: dict[str, Any]) -> None:
    folder = hdd(context) / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    run: dict[str, Any] = {"at": time.time(), "document": document}
    last_good = run if ok else (last(context, what) or {}).get("last_good")
    state = {"ok": ok, **run, "last_good": last_good}
    files.write(folder / f"{what}.json", json.dumps(state, indent=1) + "\n", 0o644)
    good = (last_good or {}).get("at", 0)
    values = (run["at"], int(ok), good)
    lines = [
        f"# HELP mailserver_{what}_{name} {text}\n# TYPE mailserver_{what}_{name} gauge\n"
        f"mailserver_{what}_{name} {value:.0f}\n"
        for (name, text), value in zip(HELP.items(), values, strict=True)
    ]
    files.write(folder / f"{what}.prom", "".join(lines), 0o644)


def last(context: Context, what: str) -> dict[str, Any] | None:
    """The last run: ok, at (epoch seconds), document, and last_good with at and document; None: never ran."""
    try:
        found = json.loads((hdd(context) / FOLDER / f"{what}.json").read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"ok", "at"} <= found.keys() else None
