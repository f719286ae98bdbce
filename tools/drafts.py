"""The answers of a `make new` that was interrupted, kept as the defaults of the next one.

One file a person, in the answers format, so that it can be given as ANSWERS= too. Losing it costs a few
minutes of typing, so a folder that cannot be written is no error.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from tools.answers import Refusal, questions, read

HEAD = "# Answers of an interrupted `make new`; the next one offers them, and removes this file at its end.\n"


def place() -> Path:
    """Return the file of the kept answers, below XDG_STATE_HOME (~/.local/state)."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "mailserver-template" / "answers.yml"


def keep(given: Mapping[str, object]) -> None:
    """Write the answers given so far, whole or not at all, readable by their owner alone."""
    lines = [f"{field}: {json.dumps(value, ensure_ascii=False)}\n" for field, value in given.items()]
    with contextlib.suppress(OSError):
        place().parent.mkdir(parents=True, exist_ok=True)
        new = place().with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(HEAD + "".join(lines), encoding="utf-8")
        new.replace(place())


def kept() -> dict[str, object]:
    """Return the kept answers to today's questions; none if there are none or they cannot be read."""
    try:
        found = read(place())
    except Refusal:
        return {}
    return {field: value for field, value in found.items() if field in questions()}


def forget() -> None:
    """Remove the kept answers."""
    with contextlib.suppress(OSError):
        place().unlink()
