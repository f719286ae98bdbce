"""What came of the last probe, for `mailctl status` and the monitor; and how often a timer sends one."""

import json
from pathlib import Path
from typing import Any

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.disks import folder_of
from mailctl.core.errors import Problem, Refused

FILE, RETRY_FILE = "probe.json", "probe-retry.json"
OFF = "off"
#: What PROBE_EVERY may say: seconds between two probes, and the timer's calendar (systemd.time(7)).
EVERY = {
    "15m": (900, "*-*-* *:04/15:00"),
    "30m": (1800, "*-*-* *:04/30:00"),
    "1h": (3600, "*-*-* *:04:00"),
    "2h": (7200, "*-*-* 00/2:04:00"),
    "4h": (14400, "*-*-* 00/4:04:00"),
    "6h": (21600, "*-*-* 00/6:04:00"),
    "12h": (43200, "*-*-* 00/12:04:00"),
    "24h": (86400, "*-*-* 09:04:00"),
}


def every(context: Context) -> tuple[int, str]:
    """Seconds and calendar of PROBE_EVERY; 0 and none: it is off. Raises Refused for any other word."""
    word = context.setting("PROBE_EVERY", "1h").strip().lower()
    if word == OFF:
        return 0, ""
    if word not in EVERY:
        fix = f"write one of: {', '.join(EVERY)}, {OFF}"
        raise Refused(Problem("PROBE_EVERY", "is no interval that a timer has", fix, value=word))
    return EVERY[word]


def folder(context: Context) -> Path:
    """The folder of what commands leave for the monitor; made if it is not there yet."""
    path = folder_of(context, "SSD_PATH") / "monitor"
    path.mkdir(mode=0o755, parents=True, exist_ok=True)
    return path


def read(context: Context, name: str = FILE) -> dict[str, Any] | None:
    """The last probe: at (epoch seconds), ok, seconds, text, fix, retry; None: there was none."""
    try:
        found = json.loads((folder_of(context, "SSD_PATH") / "monitor" / name).read_bytes())
    except (OSError, ValueError, Refused):
        return None
    return found if isinstance(found, dict) else None


def write(context: Context, document: dict[str, Any], name: str = FILE) -> None:
    """Keep it; readers see the old one or the new one."""
    path = folder(context) / name
    files.write(path, json.dumps(document, indent=1) + "\n", 0o644)
