"""`mailctl status`: every service's state, health, memory, restarts and ports, the room on both disks,
how old the last good backup, upload and drill are, and which certificate ends soon."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.context import Context, JsonOption, RepoOption, command

if TYPE_CHECKING:
    from mailctl.ages import Age
    from mailctl.secret_files.inspect import Finding
    from mailctl.state import Disk, ServiceState

DISK_WARNING_PERCENT = 85

LocalOption = Annotated[bool, typer.Option("--local", help="Look at the trial that make local started.")]


def status(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
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
        ending = [] if local else _ending(context)
        ok = all(state.ok for state in states)
        _show(context, project, states, disks, local)
        for age in backups:
            _show_age(context, age)
        for found in ending:
            context.out.warn(f"{found.name} {found.todo}")
        context.finish(
            {
                "ok": ok,
                "project": project,
                "services": [state.as_dict() for state in states],
                "disks": [disk.as_dict() for disk in disks],
                "backups": [age.as_dict() for age in backups],
                "certificates": {found.name: found.expires_days for found in ending},
            }
        )


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
    from mailctl.service_table import FULL_WIDTH, USUAL_WIDTH, place_table, service_table

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
    from mailctl.ages import ages

    return ages(context)


def _ending(context: Context) -> "list[Finding]":
    """The certificates that `make setup` would renew, for those who may look into the folder of secrets."""
    import os

    from mailctl.secret_files.inspect import ending_soon

    folder = context.folder("SECRETS_DIR", "secrets")
    return ending_soon(folder) if os.access(folder, os.R_OK | os.X_OK) else []


def _show_age(context: Context, age: "Age") -> None:
    from mailctl.format import duration

    when = "never" if age.seconds is None else f"{duration(age.seconds)} ago"
    context.out.item(f"last good {age.what}", when)
    if age.failed:
        context.out.warn(f"the last {age.what} failed; what went wrong: {age.limit.repair}")
    elif age.late:
        limit = duration(age.limit.seconds)
        context.out.warn(f"the last good {age.what} should be at most {limit} old: {age.limit.repair}")
