"""Mail that waits while a version is tried: what the deployment under way knows of it."""

import json

from mailctl.core.context import Context
from mailctl.core.disks import folder_of


def word(context: Context) -> str | None:
    """The word with which the canaries' mail passes while other mail is held; None when none is."""
    try:
        path = folder_of(context, "SSD_PATH") / ".mailctl" / "deploy" / "journal.json"
        found = (json.loads(path.read_text("utf-8")).get("hold") or {}).get("word")
    except (OSError, ValueError, AttributeError):
        return None
    return str(found) if found else None
