"""The report for people: the services, a line for each other part, and what to do next."""

import time
from typing import Any

from mailctl.core import checklist
from mailctl.core.service_table import FULL_WIDTH, USUAL_WIDTH, port_table, service_table
from mailctl.status.hosts import table
from mailctl.status.report import Report


def renderables(found: Report, width: int, local: bool) -> list[Any]:
    """What is printed below each other; nothing is wider than `width`."""
    from rich.text import Text

    parts: list[Any] = [service_table(found.states, width)]
    published = any(state.container and state.container.ports for state in found.states)
    if published and USUAL_WIDTH <= width < FULL_WIDTH:
        parts += ["", port_table(found.states)]
    parts += ["", table(found.hosts)] if found.hosts else []
    parts += ["", *checklist.texts(found.lines, width), ""]
    bad = [state.service for state in found.states if not state.ok]
    failed = [line.name for line in found.lines if line.mark == checklist.FAILED]
    total = len(found.states)
    if bad:
        parts.append(Text(f"{found.project}: {len(bad)} of {total} services are not healthy.", "bold red"))
        option = f" --project-name {found.project}" if local else ""
        absent = any(state.container is None for state in found.states)
        start = "make local" if local else "docker compose up -d"
        parts.append(
            f"next: {start if absent else f'docker compose{option} logs --tail=50 ' + ' '.join(bad)}"
        )
    else:
        parts.append(Text(f"{found.project}: all {total} services are healthy.", "bold green"))
    if lost := [one.name for one in found.hosts if not one.ok]:
        parts.append(Text(f"Not ready: {', '.join(lost)}.", "bold red"))
    if failed:
        parts.append(Text(f"Wrong: {', '.join(dict.fromkeys(failed))}; see ✗ above.", "bold red"))
    return parts


def stamp(seconds: float) -> str:
    """The line above the report while it is watched."""
    return f"{time.strftime('%a %d %b %H:%M:%S %Z')}, every {seconds:g} s; Ctrl-C ends it"
