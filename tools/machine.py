"""What the machine that runs `make new` already knows, so that a person need not type it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tools.answers import validator

FALLBACK = "UTC"
ZONES = "zoneinfo/"


def _timedatectl() -> str:
    """Return what systemd says; empty where there is none."""
    command = ["timedatectl", "show", "--property=Timezone", "--value"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _candidates(environment: Mapping[str, str], etc: Path, ask: Callable[[], str]) -> Iterator[str]:
    """Yield names of the machine's zone, the most specific source first."""
    yield environment.get("TZ", "").removeprefix(":").rpartition(ZONES)[2]
    # /etc/localtime is a link into the zone database; where it is a copy, the other two know the name.
    yield os.path.realpath(etc / "localtime").partition(ZONES)[2]
    with contextlib.suppress(OSError):
        yield (etc / "timezone").read_text(encoding="utf-8").strip()
    yield ask()


def timezone(
    environment: Mapping[str, str] = os.environ,
    etc: Path = Path("/etc"),
    ask: Callable[[], str] = _timedatectl,
) -> str:
    """Return the IANA name of this machine's time zone; UTC if nothing tells it."""
    for name in _candidates(environment, etc, ask):
        plain = name.removeprefix("posix/").removeprefix("right/")
        if plain and validator().field_problem("timezone", plain) is None:
            return FALLBACK if plain in ("Etc/UTC", "Etc/UCT", "UCT", "Zulu", "Etc/Zulu") else plain
    return FALLBACK


def defaults() -> dict[str, object]:
    """Return the answers that this machine gives by itself."""
    return {"timezone": timezone()}
