"""`mailctl host`: the timers of this host. Work is imported when a command runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group

if TYPE_CHECKING:
    from mailctl.host.install import Change
    from mailctl.host.parts import Host
    from mailctl.host.units import Job, Place

HELP = """The host itself, from a fresh Debian or Ubuntu to ready: Docker, firewall, updates, clock, logs, the
folders on both disks, and systemd timers for backup, upload, drill and the monitor, with an alarm when one of
them fails.

setup makes .env from its example where it is missing. It may be repeated, and must be after each change
of HDD_PATH, SSD_PATH, AGENT_DIR, DEPLOY_METHOD, DEPLOY_SSH_PUBLIC_KEY, DEPLOY_SSH_FROM, TZ, BACKUP_BUCKET,
PROBE_EVERY, HOST_OPEN_PORTS, HOST_USER or MONITOR_PORT in .env.
"""

app = group(HELP)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]


@app.command()
def setup(
    check: Annotated[bool, typer.Option("--check", help="Only say what is missing; exit 1 then.")] = False,
    dry_run: DryRunOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring what is missing on this host; shows each thing that it makes and each file that it changes."""
    from mailctl.host import ready

    with command(repo, as_json) as context:
        _settings(context, check or dry_run)
        place, jobs = _place(context), _jobs(context)
        host = ready.host(context, place)
        missing = ready.prepare(context, host, look=check or dry_run)
        changes = _run(context, host, jobs, check or dry_run)
        missing += ready.finish(context, host, changes, look=check or dry_run)
        timers = [place.name(job, "timer") for job in jobs]
        whole = not (missing or changes)
        if whole:
            context.out.show("Nothing to change.")
        if not (check or dry_run):
            context.out.row("timers", f"systemctl list-timers '{place.project}-*'")
            context.out.row("try one", f"systemctl start {place.name(jobs[0], 'service')}")
            if context.setting("DEPLOY_METHOD") == "ssh" and not host.choices.key:
                context.out.warn("DEPLOY_SSH_PUBLIC_KEY is not set: GitHub cannot deploy (docs/deploying.md)")
        ok = whole or not check
        context.out.document({"ok": ok, "missing": missing, **_document(check or dry_run, changes, timers)})
        if not ok:
            raise typer.Exit(1)


@app.command()
def remove(dry_run: DryRunOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Stop timers and firewall, remove what setup made, the agent with its keys too; packages stay."""
    from mailctl.host import ssh
    from mailctl.host.parts import Host

    with command(repo, as_json) as context:
        place = _place(context)
        todo = _run(context, Host(place), (), dry_run)
        if not dry_run and ssh.differs(place.project, ""):
            ssh.write(place.project, "")
        if not todo:
            context.out.show("Nothing to change.")
        context.out.document({"ok": True, **_document(dry_run, todo, [])})


@app.command()
def failed(
    unit: Annotated[str, typer.Argument(help="The unit that failed, for instance mailserver-backup.")],
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell the administrator that a unit failed, with its last log lines (systemd calls this)."""
    from mailctl.host.failure import report

    with command(repo, as_json) as context:
        sent = report(context, unit)
        context.out.document({"ok": sent, "unit": unit})
        if not sent:
            raise typer.Exit(1)


def _run(context: Context, host: "Host", jobs: "tuple[Job, ...]", look: bool) -> "list[Change]":
    """Bring the files in line, or only show the way; without jobs they go. Returns what differed."""
    from shutil import rmtree

    from mailctl.host import files, install, units

    place, wanted = host.place, {}
    if jobs:
        wanted = {install.UNIT_FOLDER / name: text for name, text in units.texts(place, jobs).items()}
        wanted |= files.texts(place, host.choices)
        wanted[install.UNIT_FOLDER / files.firewall_unit(place)] = files.unit(place)
        if install.is_foreign(place, install.COMMAND):
            context.out.warn(f"{install.COMMAND} is not ours and stays as it is")
        else:
            wanted[install.COMMAND] = units.wrapper(place)
        wanted[place.home / "run"] = units.launcher(place)
    todo = install.changes(place, wanted)
    if jobs and (change := install.docker_settings(bool(host.choices.hosts))):
        todo.append(change)
    for change in todo:
        context.out.row(f"would {change.action}" if look else change.action, str(change.path), 12)
        for line in change.diff:
            context.out.row("", line, 12)
    if not look:
        install.check_host()
        started = [place.name(job, "timer") for job in jobs] + [place.metrics]
        started += [name for name in units.texts(place, jobs) if name.endswith(".path")]
        install.apply(todo, [name for name in started if name and jobs])
        if not jobs and any(change.path == place.home / "run" for change in todo):
            rmtree(place.home)
    return todo


def _document(dry_run: bool, todo: "list[Change]", timers: list[str]) -> dict[str, object]:
    return {"dry_run": dry_run, "changes": [change.as_dict() for change in todo], "timers": timers}


def _settings(context: Context, look: bool) -> None:
    """A fresh host has no .env: the template's answers, which its example holds, do for the beginning."""
    from mailctl.core.env_file import make_from_example

    env, example = context.env_path, context.repo / ".env.example"
    if look and not env.exists():
        context.env_path = example
    elif look or not make_from_example(env, example):
        return
    context.out.row("would make" if look else "make", f"{env}  from {example.name}", 12)


def _place(context: Context) -> "Place":
    """Raises Refused: a disk's setting is missing, or its disk is not mounted."""
    from mailctl import agent
    from mailctl.core import folders
    from mailctl.core.disks import folder_of, unmounted
    from mailctl.core.errors import Problem, Refused
    from mailctl.host.units import METRICS_PORT, Place

    disks = {name: folder_of(context, name) for name in ("HDD_PATH", "SSD_PATH")}
    if problems := [problem for name, path in disks.items() if (problem := unmounted(name, path))]:
        raise Refused(*problems)
    zone, port = context.setting("TZ", "UTC"), context.setting("MONITOR_PORT", str(METRICS_PORT))
    if not port.isdecimal() or int(port) > 65535:
        fix = "a port of this host such as 9640; 0: no figures"
        raise Refused(Problem("MONITOR_PORT", "is no port", fix, value=port))
    ends = (zone, int(port), agent.folder(context), folders.secrets(context))
    return Place(context.project_name, context.repo, disks["HDD_PATH"], disks["SSD_PATH"], *ends)


def _jobs(context: Context) -> "tuple[Job, ...]":
    """Without a bucket there is nothing to upload to, and a timer would only fail every night."""
    from dataclasses import replace

    from mailctl.core.client_host import client_host
    from mailctl.core.hosts import several
    from mailctl.core.probe_record import every
    from mailctl.host.units import CHECK, COPY, JOBS, PULL

    jobs: tuple[Job, ...] = (*JOBS, PULL) if context.setting("DEPLOY_METHOD") == "pull" else JOBS
    jobs = (*jobs, COPY, CHECK) if several(context) else jobs
    _, calendar = every(context)
    jobs = tuple(replace(job, calendar=calendar) if job.name == "probe" else job for job in jobs)
    jobs = tuple(job for job in jobs if job.calendar and (job.name != "certificate" or client_host(context)))
    if context.setting("BACKUP_BUCKET"):
        return jobs
    context.out.warn('BACKUP_BUCKET is not set: no snapshot leaves this host (docs/backups.md, "Off-site")')
    return tuple(job for job in jobs if not job.name.startswith("sync"))
