"""The states of services as a table: of `mailctl status`, and of `mailctl local up` while it waits."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailctl.core.stack_state import ServiceState

# From which width the table has which columns; the rest is a phone.
FULL_WIDTH, VERSION_WIDTH, USUAL_WIDTH = 118, 78, 66


def service_table(states: "list[ServiceState]", width: int, brief: bool = False) -> Any:
    """The states as a table that fits `width`; `brief` leaves out what takes a measurement."""
    names = ["service", "state", "memory"]
    if brief:
        names = ["service", "state", "up", "restarts"]
    elif width >= USUAL_WIDTH:
        names = ["service", "state", "up", "restarts", "memory", "cpu"]
        names += ["version"] if VERSION_WIDTH <= width < FULL_WIDTH else []
    names += ["image", "ports"] if width >= FULL_WIDTH and not brief else []
    return _table(states, names)


def port_table(states: "list[ServiceState]") -> Any:
    """Published ports, which no terminal of 80 columns has room for beside the rest."""
    return _table(
        [state for state in states if state.container and state.container.ports], ["service", "ports"]
    )


def _table(states: "list[ServiceState]", names: list[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in names:
        right = name in ("restarts", "memory", "cpu")
        fold = name in ("image", "ports") or (name == "service" and "version" not in names)
        overflow: Any = "ellipsis" if name == "version" else "fold"
        table.add_column(name, justify="right" if right else "left", no_wrap=not fold, overflow=overflow)
    for state in states:
        cells = _cells(state)
        table.add_row(*(cells[name] for name in names), style="" if state.ok else "red")
    return table


def _cells(state: "ServiceState") -> dict[str, str]:
    from mailctl.core.format import duration, image, size

    found, usage = state.container, state.usage
    limit = size(found.memory_limit) if found and found.memory_limit else "-"
    return {
        "service": state.service,
        "state": state.word,
        "up": duration(state.uptime_seconds),
        "restarts": str(found.restarts) if found else "-",
        "memory": f"{size(usage.memory)}/{limit}" if usage else f"-/{limit}",
        "cpu": f"{usage.cpu_percent:.0f}%" if usage else "-",
        "image": image(found.image) if found else "-",
        # Our own images have no version but the commit that they are built from.
        "version": image(found.image).rpartition("/")[2].partition(":")[2] or "our own" if found else "-",
        "ports": "\n".join(found.ports) if found else "",
    }
