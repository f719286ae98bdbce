"""`mailctl export` and `erase`: one person's data, handed over or removed. Work is imported when it runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.accounts.api import YesOption, accounts, agree
from mailctl.core.context import Context, JsonOption, RepoOption
from mailctl.core.folders import hdd
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailctl.person.rows import Known

PersonArgument = Annotated[str, typer.Argument(metavar="PERSON", help="The person's address.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="The archive; default: PERSON-DATE.tar in this folder."),
]


def export(
    person: PersonArgument,
    out: OutOption = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write all of one person into a tar file: mail, account, webmail, log-ins (GDPR, articles 15 and 20)."""
    from datetime import date

    from mailctl.core.format import size
    from mailctl.person import archive

    with accounts(local, repo, as_json) as (_, api):
        context = api.server.context
        address, known = _known(context, person)
        path = (out or Path(f"{address}-{date.today()}.tar")).expanduser().absolute()
        root = hdd(context) / "mailboxes"
        archive.room(path, _bytes(root, known))
        with archive.Archive(path, address) as made:
            archive.write(made, known, root, api.server, _calendars(context, address))
        context.out.row("archive", str(path))
        context.out.row("mail", f"{made.mails} mails, {size(made.bytes)}")
        for table, rows in known.tables.items():
            context.out.row(table, str(len(rows)), 24)
        context.out.show(
            "README.txt in it is the check list. Delete the archive when it has been handed over."
        )
        counts = {table: len(rows) for table, rows in known.tables.items()}
        context.finish(
            {"ok": True, "file": str(path), "mails": made.mails, "bytes": made.bytes, "rows": counts}
        )


def erase(
    person: PersonArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove account, mail and traces of one person for good, and say what stays until when (article 17)."""
    from mailctl.core.disk_locks import exclusive
    from mailctl.core.format import size
    from mailctl.person import erase as erasing

    with accounts(local, repo, as_json) as (_, api):
        context = api.server.context
        address, known = _known(context, person)
        _refuse_unplaced(context, address, known)
        left = erasing.stays(context, address, known)
        context.out.show("Goes now, for good:")
        context.out.row("  mail", size(_bytes(hdd(context) / "mailboxes", known)), 26)
        for table, rows in known.tables.items():
            if table == "admins":
                continue  # it stays
            context.out.row(
                f"  {table}", f"{len(rows)} rows" if table != "audit_log" else "loses the address", 26
            )
        for alias in known.tables.get("aliases", []):
            context.out.row("  alias", f"{alias['source']} to {alias['destination']}", 26)
        context.out.show("Stays:")
        for what, until in left:
            context.out.item(
                f"  {what}", f"until {until}" if until.startswith(("about", "at least")) else until
            )
        agree(context, yes, "erase", address)
        with exclusive(context, "mailctl erase"):
            erasing.erase(context, api, address, known)
        context.out.show(
            f"{address}: erased, and again each night by .venv/bin/mailctl purge if a restore brings it back."
        )
        stay = [{"what": what, "until": until} for what, until in left]
        context.finish({"ok": True, "person": address, "stays": stay})


def _known(context: Context, person: str) -> "tuple[str, Known]":
    """The address as the database has it, and all that there is about it. Raises Refused: nothing."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.placement import refuse_elsewhere
    from mailctl.person import rows

    address = person.strip().lower()
    refuse_elsewhere(context, address)
    known = rows.known(rows.running_database(context), address)
    if not known.homes and not known.tables:
        fix = ".venv/bin/mailctl user list shows who there is"
        raise Refused(Problem("PERSON", "nothing is known about this address", fix, value=person))
    return address, known


def _refuse_unplaced(context: Context, address: str, known: "Known") -> None:
    """Of several hosts: whose account is gone has mail on a disk that nobody can name any more."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.hosts import several

    if several(context) and known.homes and not known.account:
        wrong = "the account is deleted for good, and no host knows whose disk still has its mail"
        fix = "the nightly purge of that host removes it 30 days after the deletion; then run this again"
        raise Refused(Problem("PERSON", wrong, fix, value=address))


def _bytes(root: Path, known: "Known") -> int:
    from mailctl.core.homes import places
    from mailctl.person.archive import size_of

    return sum(size_of(root / place) for home in known.homes for place in places(root, home))


def _calendars(context: Context, address: str) -> "Iterator[tuple[str, str]]":
    """The path and the text of each event and contact of a person."""
    from mailctl.core import groupware
    from mailctl.person import rows

    for person in rows.people(rows.running_database(context), address) if groupware.here(context) else ():
        yield from groupware.entries(context, person)
