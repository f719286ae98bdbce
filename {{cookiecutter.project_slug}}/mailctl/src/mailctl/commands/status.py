"""`mailctl status`: every service's state, health, memory, restarts and ports, the room on both
disks, and how old the last good backup, upload and drill are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.context import Context, JsonOption, RepoOption, command

if TYPE_CHECKING:
    from mailctl.backup.ages import Age
    from mailctl.state import Disk, ServiceState

# From which width the table has which columns; the rest is a phone.
FULL_WIDTH, USUAL_WIDTH = 118, 66
DISK_WARNING_PERCENT = 85

LocalOption = Annotated[bool, typer.Option("--local", help="Look at the stack of mailctl local up.")]


def run(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show what runs and how it is; exit 1 if not all is healthy."""
    from mailctl.compose import start_order
    from mailctl.engine import connected
    from mailctl.state import measured, services

    with command(repo, as_json) as context:
        project, compose, folders = _target(context, local)
        with connected() as engine:
            expected = start_order(compose.config())
            states = measured(engine, services(engine, project, expected))
        disks, backups = _disks(folders), [] if local else _ages(context)
        ok = all(state.ok for state in states)
        _show(context, project, states, disks, local)
        for age in backups:
            _show_age(context, age)
        context.out.document(
            {
                "ok": ok,
                "project": project,
                "services": [state.as_dict() for state in states],
                "disks": [disk.as_dict() for disk in disks],
                "backups": [age.as_dict() for age in backups],
            }
        )
        if not ok:
            raise typer.Exit(1)


def _target(context: Context, local: bool) -> tuple[str, Any, dict[str, Any]]:
    """Project name, compose and the two disk folders of the server, or of the local stack."""
    from mailctl.compose import Compose

    if local:
        from mailctl.local.stack import LocalStack

        stack = LocalStack.of(context)
        return stack.project, stack.compose, {"SSD_PATH": stack.ssd, "HDD_PATH": stack.hdd}
    folders = {name: context.folder(name, "") for name in ("SSD_PATH", "HDD_PATH") if context.setting(name)}
    return context.project_name, Compose(context.repo), folders


def _disks(folders: dict[str, Any]) -> "list[Disk]":
    from mailctl.state import disk

    return [disk(name, path) for name, path in folders.items()]


def _show(
    context: Context, project: str, states: "list[ServiceState]", disks: "list[Disk]", local: bool
) -> None:
    out = context.out
    if out.as_json:
        return
    out.show(service_table(states, out.console.width))
    started = any(state.container for state in states)
    if started and USUAL_WIDTH <= out.console.width < FULL_WIDTH:
        out.show("", place_table(states))
    out.show("")
    for disk in disks:
        _show_disk(context, disk)
    option = f" --project-name {project}" if local else ""
    bad = [state.service for state in states if not state.ok]
    if not bad:
        out.show(f"{project}: all {len(states)} services are healthy.")
        return
    out.show(f"{project}: {len(bad)} of {len(states)} services are not healthy.")
    if all(state.container for state in states):
        out.item("next", f"docker compose{option} logs --tail=50 {' '.join(bad)}")
    else:
        out.item("next", "make local" if local else "docker compose up -d")


def _show_disk(context: Context, disk: "Disk") -> None:
    from mailctl.format import size

    if disk.used_percent is None:
        context.out.warn(f"{disk.setting}={disk.path} does not exist")
        return
    text = f"{disk.used_percent}% used, {size(disk.free)} of {size(disk.total)} free ({disk.path})"
    context.out.item(disk.setting, text)
    if disk.used_percent >= DISK_WARNING_PERCENT:
        context.out.warn(f"{disk.setting} is {disk.used_percent}% full")


def _ages(context: Context) -> "list[Age]":
    from mailctl.backup.ages import ages

    return ages(context)


def _show_age(context: Context, age: "Age") -> None:
    from mailctl.format import duration

    when = "never" if age.seconds is None else f"{duration(age.seconds)} ago"
    context.out.item(f"last good {age.what}", when)
    if age.failed:
        context.out.warn(f"the last {age.what} failed; what went wrong: {age.limit.repair}")
    elif age.late:
        limit = duration(age.limit.seconds)
        context.out.warn(f"the last good {age.what} should be at most {limit} old: {age.limit.repair}")


def service_table(states: "list[ServiceState]", width: int, brief: bool = False) -> Any:
    """The states as a table that fits `width`; `brief` leaves out what takes a measurement."""
    names = ["service", "state", "memory"]
    if brief:
        names = ["service", "state", "up", "restarts"]
    elif width >= USUAL_WIDTH:
        names = ["service", "state", "up", "restarts", "memory", "cpu"]
    names += ["image", "ports"] if width >= FULL_WIDTH and not brief else []
    return _table(states, names)


def place_table(states: "list[ServiceState]") -> Any:
    """Images and published ports, which no terminal of 80 columns has room for beside the rest."""
    return _table(states, ["service", "image", "ports"])


def _table(states: "list[ServiceState]", names: list[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in names:
        right = name in ("restarts", "memory", "cpu")
        fold = name in ("service", "image", "ports")
        table.add_column(name, justify="right" if right else "left", no_wrap=not fold, overflow="fold")
    for state in states:
        cells = _cells(state)
        table.add_row(*(cells[name] for name in names), style="" if state.ok else "red")
    return table


def _cells(state: "ServiceState") -> dict[str, str]:
    from mailctl.format import duration, image, size

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
        "ports": "\n".join(found.ports) if found else "",
    }
