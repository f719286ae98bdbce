"""`mailctl host`: the timers of this host. Work is imported when a command runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.context import Context, JsonOption, RepoOption, command, group

if TYPE_CHECKING:
    from mailctl.host.install import Change
    from mailctl.host.units import Job, Place

HELP = """The host itself: systemd timers for backup, upload and drill, and mail when one of them fails.

setup may be repeated, and must be after each change of HDD_PATH, SSD_PATH, TZ or BACKUP_BUCKET in .env.
"""

app = group(HELP)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


@app.command()
def setup(dry_run: DryRunOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Install the timers, the failure mail, and `mailctl` on the PATH; shows each file that it changes."""
    with command(repo, as_json) as context:
        place, jobs = _place(context), _jobs(context)
        _run(context, place, jobs, dry_run)
        if not dry_run:
            context.out.row("timers", f"systemctl list-timers '{place.project}-*'")
            context.out.row("try one", f"systemctl start {place.name(jobs[0], 'service')}")


@app.command()
def remove(dry_run: DryRunOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Stop the timers and remove every file that setup made; snapshots stay."""
    with command(repo, as_json) as context:
        _run(context, _place(context), (), dry_run)


@app.command()
def failed(
    unit: Annotated[str, typer.Argument(help="The unit that failed, for instance mailserver-backup.")],
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mail ADMIN_EMAIL that a unit failed, with its last log lines (systemd calls this)."""
    from mailctl.host.failure import report

    with command(repo, as_json) as context:
        sent = report(context, unit)
        context.out.document({"ok": sent, "unit": unit})
        if not sent:
            raise typer.Exit(1)


def _run(context: Context, place: "Place", jobs: "tuple[Job, ...]", dry_run: bool) -> None:
    from mailctl.host import install, units

    wanted = {}
    if jobs:
        wanted = {install.UNIT_FOLDER / name: text for name, text in units.texts(place, jobs).items()}
        if install.is_foreign(place, install.COMMAND):
            context.out.warn(f"{install.COMMAND} is not ours and stays as it is")
        else:
            wanted[install.COMMAND] = units.wrapper(place)
    todo = install.changes(place, wanted)
    timers = [place.name(job, "timer") for job in jobs]
    _show(context, todo, dry_run)
    if not dry_run:
        install.check_host()
        install.apply(todo, timers)
    context.out.document(
        {"ok": True, "dry_run": dry_run, "changes": [c.as_dict() for c in todo], "timers": timers}
    )


def _show(context: Context, todo: "list[Change]", dry_run: bool) -> None:
    for change in todo:
        context.out.row(f"would {change.action}" if dry_run else change.action, str(change.path), 12)
        for line in change.diff:
            context.out.row("", line, 12)
    if not todo:
        context.out.show("Nothing to change.")


def _place(context: Context) -> "Place":
    """Raises Refused: a disk's setting is missing, or its disk is not mounted."""
    from mailctl.disks import folder_of, unmounted
    from mailctl.errors import Refused
    from mailctl.host.units import Place

    disks = {name: folder_of(context, name) for name in ("HDD_PATH", "SSD_PATH")}
    if problems := [problem for name, path in disks.items() if (problem := unmounted(name, path))]:
        raise Refused(*problems)
    zone = context.setting("TZ", "UTC")
    return Place(context.project_name, context.repo, disks["HDD_PATH"], disks["SSD_PATH"], zone)


def _jobs(context: Context) -> "tuple[Job, ...]":
    """Without a bucket there is nothing to upload to, and a timer would only fail every night."""
    from mailctl.host.units import JOBS, PULL

    jobs = (*JOBS, PULL) if context.setting("DEPLOY_METHOD") == "pull" else JOBS
    if context.setting("BACKUP_BUCKET"):
        return jobs
    context.out.warn('BACKUP_BUCKET is not set: no snapshot leaves this host (docs/backups.md, "Off-site")')
    return tuple(job for job in jobs if job.name != "sync")
