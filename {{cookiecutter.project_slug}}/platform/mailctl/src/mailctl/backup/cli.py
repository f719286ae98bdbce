"""`mailctl backup`, `backup-key` and `scan`. The work is imported when a command runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.folders import hdd
from mailctl.core.stack import LocalOption, stack

if TYPE_CHECKING:
    from mailctl.backup.take import Outcome

DailyOption = Annotated[bool, typer.Option("--daily", help="Today's snapshot (this is what happens anyway).")]
WeeklyOption = Annotated[bool, typer.Option("--weekly", help="Keep it as a weekly one as well.")]
SnapshotOption = Annotated[
    str, typer.Option("--from", metavar="DIR", help="Folder of the snapshot; default: the latest good one.")
]
QuarantineOption = Annotated[
    Path | None,
    typer.Option("--quarantine", metavar="DIR", help="Copy what is found there, with a list, and go on."),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the secret key there instead of showing it."),
]
AddOption = Annotated[bool, typer.Option("--add", help="One more key, beside those that .env has.")]
SignerOption = Annotated[
    bool, typer.Option("--signer", help="Only show the line by which the owner's key file knows this host.")
]


def backup(
    daily: DailyOption = False,
    weekly: WeeklyOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a snapshot of mail, databases, settings, certificates and DKIM keys."""
    from mailctl.backup.take import take
    from mailctl.core.disk_locks import exclusive
    from mailctl.core.errors import Refused
    from mailctl.core.job_results import record
    from mailctl.core.progress import Bars

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        with exclusive(context, "mailctl backup"), Bars(context.out).shown() as bars:
            try:
                outcome = take(context, weekly, bars)
            except Refused as refusal:
                _failed(context, [f"{p.field}: {p.wrong}\nfix: {p.fix}" for p in refusal.problems])
                raise
            document = outcome.as_dict()
            if outcome.failed:
                _failed(context, [f"{name}: {why}" for name, why in outcome.failed.items()], document)
            else:
                record(context, "backup", True, document)
        _show(context, outcome)
        context.out.document(document)
        if outcome.failed:
            raise typer.Exit(1)


def key(
    out: OutOption = None,
    add: AddOption = False,
    signer: SignerOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the owner's key for what is secret in backups. It is shown once and kept nowhere on this host."""
    from mailctl.backup.owner_key import make, signed_by

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        if signer:
            line = signed_by(context)
            context.out.row("add to the owner's key file", line)
            return context.out.document({"ok": True, "signed_by": line})
        made = make(context, out, add)
        context.out.row("public", made.public)
        context.out.row("in .env", made.setting)
        if out:
            context.out.row(
                "secret", f"{out}: keep it away from this host, in two places, then delete the file"
            )
        else:
            context.out.show(
                "", "Keep these lines away from this host, in two places. They are not shown again:", ""
            )
            context.out.row("", made.secret)
        shown = {} if out else {"secret": made.secret}
        context.out.document({"ok": True, "public": made.public, "file": str(out) if out else None, **shown})


def scan(
    source: SnapshotOption = "",
    quarantine: QuarantineOption = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for viruses in the mail of a snapshot; exit 1 if one is found and not set aside."""
    from mailctl.backup.scan import newest_or, scan
    from mailctl.core.progress import Bars

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        found = newest_or(hdd(context), source)
        with (
            Bars(context.out).shown() as bars,
            bars.task("scan", found.manifest.components.get("mail", {}).get("files", 0)) as tick,
        ):
            result = scan(context, found, quarantine, tick)
        for finding in result.findings:
            context.out.row(finding.signature, finding.path, width=24)
        context.out.show(f"{found.id}: {result.scanned} files, {len(result.findings)} with a virus.")
        if result.findings and quarantine:
            context.out.item("set aside", f"{quarantine}/{found.path.name}, with findings.json")
        context.out.document(result.as_dict())
        if result.findings and not quarantine:
            raise typer.Exit(1)


def _failed(context: Context, reasons: list[str], document: dict[str, Any] | None = None) -> None:
    """Say loudly that there is no good snapshot: the state for metrics and status, a mail to the admin."""
    from mailctl.core.job_results import record
    from mailctl.core.notify import tell

    record(context, "backup", False, {**(document or {}), "problems": reasons})
    text = "The backup failed. What is wrong:\n\n" + "\n\n".join(reasons)
    tell(context, "backup failed", f"{text}\n\nThe snapshots from before are untouched. Next: make backup\n")


def _show(context: Context, outcome: "Outcome") -> None:
    from rich import box
    from rich.table import Table

    from mailctl.core.format import size

    out, components = context.out, outcome.snapshot.manifest.components
    if out.as_json:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False, pad_edge=False)
    for name in ("component", "state", "files", "size"):
        table.add_column(name, justify="right" if name in ("files", "size") else "left", overflow="fold")
    for name, found in components.items():
        counted = (str(found["files"]), size(found["bytes"])) if found["ok"] else ("-", "-")
        style = "" if found["ok"] else "red"
        table.add_row(name, "saved" if found["ok"] else "failed", *counted, style=style)
    out.show(table, "")
    if not outcome.kept:
        out.warn(f"this run failed: the good {outcome.snapshot.id} of earlier today stays")
        return
    out.row("snapshot", str(outcome.snapshot.path))
    out.row("new", f"{outcome.new} mails, {size(outcome.new_bytes)}")
    for label, text in (("weekly", outcome.weekly), ("expired", ", ".join(outcome.expired))):
        if text:
            out.row(label, text)
