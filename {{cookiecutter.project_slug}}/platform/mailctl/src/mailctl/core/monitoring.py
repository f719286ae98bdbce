"""The folder of the monitor, <SSD_PATH>/monitor, where other commands leave their results for it as well."""

import json
from pathlib import Path
from typing import Any

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.disks import folder_of, unmounted
from mailctl.core.errors import Refused

NAME = "monitor"


def folder(context: Context) -> Path:
    """Made where it is missing. Raises Refused: SSD_PATH is not set, or its disk is not mounted."""
    ssd = folder_of(context, "SSD_PATH")
    if problem := unmounted("SSD_PATH", ssd):
        raise Refused(problem)
    path = ssd / NAME
    path.mkdir(mode=0o755, exist_ok=True)
    return path


def leave(context: Context, name: str, document: dict[str, Any], mode: int = 0o644) -> None:
    """Put `name`.json there in one step."""
    files.write(folder(context) / f"{name}.json", json.dumps(document, indent=1) + "\n", mode)


def read(context: Context, name: str) -> dict[str, Any]:
    """What was left there; empty where there is nothing yet, or nothing that can be read."""
    try:
        found = json.loads((folder_of(context, "SSD_PATH") / NAME / f"{name}.json").read_bytes())
    except (OSError, ValueError, Refused):
        return {}
    return found if isinstance(found, dict) else {}
