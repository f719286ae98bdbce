"""`mailctl restore`: bring back everything, one component, one mailbox or one folder."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.aws import Access, MfaOption, ProfileOption, RoleOption
from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.stack import LocalOption, stack

if TYPE_CHECKING:
    from mailctl.backup.restore.choose import Choice
    from mailctl.backup.restore.merge import Part
    from mailctl.core.snapshots import Snapshot

FromOption = Annotated[
    str | None,
    typer.Option(
        "--from", metavar="DIR|s3://…", help="The snapshot; with --at the disk that holds snapshots."
    ),
]
AtOption = Annotated[str | None, typer.Option("--at", metavar="TIME", help="The newest good one not later.")]
ComponentOption = Annotated[
    str, typer.Option("--component", help="all, mail, mysql, config, ssl, dkim, learned or groupware.")
]
MailboxOption = Annotated[
    str | None, typer.Option("--mailbox", metavar="A@B", help="Only this one; the server goes on running.")
]
OfOption = Annotated[
    str | None,
    typer.Option("--of", metavar="A@B", help="Its name in the snapshot, if it is another person's or older."),
]
FolderOption = Annotated[str | None, typer.Option("--folder", help="Only this folder of the mailbox.")]
IntoOption = Annotated[
    str | None, typer.Option("--into", metavar="FOLDER", help="Put the mails below this folder, as Restored.")
]
IdentityOption = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="The owner's age key; else this host's own.")
]
QuarantineOption = Annotated[
    Path | None,
    typer.Option("--quarantine", metavar="DIR", help="Leave out infected mails, and copy them there."),
]
BeforeOption = Annotated[
    str | None,
    typer.Option(
        "--before", metavar="TIME", help="For s3://…/latest: only what was uploaded before, by S3's clock."
    ),
]
ToOption = Annotated[
    Path | None,
    typer.Option(
        "--to", metavar="DIR", help="Fetch from S3 into this folder, where it stays; else HDD_PATH."
    ),
]
UnsignedOption = Annotated[
    bool,
    typer.Option("--unsigned", help="Take a copy without this server's signature: anybody may have made it."),
]
ErasedOption = Annotated[
    bool, typer.Option("--erased", help="Bring back people who were erased since the snapshot, too.")
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Check, and say what would be done.")]
ConfirmOption = Annotated[bool, typer.Option("--confirm", help="All is well: delete the kept former state.")]
UndoOption = Annotated[bool, typer.Option("--undo", help="Put the former state back.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def run(
    source: FromOption = None,
    at: AtOption = None,
    component: ComponentOption = "all",
    mailbox: MailboxOption = None,
    of: OfOption = None,
    folder: FolderOption = None,
    into: IntoOption = None,
    identity: IdentityOption = None,
    quarantine: QuarantineOption = None,
    profile: ProfileOption = None,
    role: RoleOption = None,
    mfa: MfaOption = None,
    before: BeforeOption = None,
    to: ToOption = None,
    unsigned: UnsignedOption = False,
    erased: ErasedOption = False,
    dry_run: DryRunOption = False,
    confirm: ConfirmOption = False,
    undo: UndoOption = False,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring mail, accounts, settings or keys back; the former state is kept until --confirm."""
    from mailctl.backup.restore.choose import Choice
    from mailctl.core.disk_locks import alone

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        choice = Choice(source, at, identity, quarantine, Access(profile, role, mfa), before, to, unsigned)
        _refuse_mixed(source or at, confirm, undo, mailbox, folder or into or of)
        with alone(context, "restore"):
            if confirm or undo:
                document = _end(context, undo, yes)
            elif mailbox:
                document = _part(context, choice, _wanted(context, mailbox, of, folder, into), dry_run)
            else:
                document = _components(context, choice, component, dry_run, yes, erased)
        context.out.document({"ok": not document.get("differences"), **document})
        if document.get("differences"):
            raise typer.Exit(1)


def _refuse_mixed(
    chosen: str | None, confirm: bool, undo: bool, mailbox: str | None, within: str | None
) -> None:
    if (confirm and undo) or ((confirm or undo) and chosen):
        raise Misuse(Problem("--confirm, --undo", "one of them alone", "leave the other options out"))
    if not (confirm or undo or chosen):
        raise Misuse(Problem("--from", "which snapshot?", "--from FOLDER, --from s3://…, or --at TIME"))
    if within and not mailbox:
        raise Misuse(Problem("--of, --folder, --into", "of which mailbox?", "add --mailbox name@domain"))


def _end(context: Context, undo: bool, yes: bool) -> dict[str, Any]:
    from mailctl.backup.restore import journal as phases
    from mailctl.backup.restore import run as work
    from mailctl.backup.restore.choose import changing

    with changing(context):
        journal = work.settle(context, start=not undo)
    if journal is None or (undo and journal.phase != phases.RESTORED):
        wrong = "there is no restore to undo" if undo else "there is no restore to confirm"
        raise Refused(Problem("--undo" if undo else "--confirm", wrong, "nothing needs to be done"))
    kept = [str(path) for path in journal.kept]
    if undo:
        _agree(context, yes, f"Put the state before the restore of {journal.snapshot} back?")
        with changing(context):
            work.undo(context, journal)
        context.out.row("undone", f"the restored state is kept: {', '.join(str(p) for p in journal.kept)}")
        return {"undone": journal.snapshot, "kept": [str(path) for path in journal.kept]}
    _agree(context, yes, f"Delete for good: {', '.join(kept)}?")
    journal.confirm()
    for path in kept:
        context.out.row("deleted", path)
    return {"confirmed": journal.snapshot, "deleted": kept}


def _wanted(context: Context, mailbox: str, of: str | None, folder: str | None, into: str | None) -> "Part":
    from mailctl.backup.restore import imap
    from mailctl.backup.restore.merge import Part
    from mailctl.core import hosts
    from mailctl.core.containers import running
    from mailctl.core.placement import refuse_elsewhere

    refuse_elsewhere(context, mailbox)
    store = running(context, hosts.store(context))
    return Part(mailbox, of or imap.stored_as(store, mailbox), folder, into)


def _part(context: Context, choice: "Choice", part: "Part", dry_run: bool) -> dict[str, Any]:
    from mailctl.backup.restore import choose
    from mailctl.backup.restore.merge import merge

    with choose.found(context, choice, ("mail",), part.stored) as snapshot:
        left_out = choose.scan(context, snapshot, choice.quarantine, f"{part.below(Path('mail'))}/")
        result = merge(context, snapshot, part, left_out, dry_run)
    word = "would add" if dry_run else "added"
    for name, number in result["added"].items():
        context.out.row(name, f"{word} {number}; {result['present'][name]} are there already", width=20)
    return {"snapshot": snapshot.id, "dry_run": dry_run, "left_out": left_out, **result}


def _components(
    context: Context, choice: "Choice", component: str, dry_run: bool, yes: bool, erased: bool
) -> dict[str, Any]:
    from mailctl.backup.restore import choose, cluster
    from mailctl.backup.restore import run as work
    from mailctl.core import encryption, hosts

    wanted = choose.components(component)
    if hosts.several(context):
        return cluster.mailboxes(context, choice, component, dry_run, lambda what: _agree(context, yes, what))
    with choose.changing(context):
        work.refuse_pending(work.settle(context))
    sealed = set(wanted) & {"config", "ssl", "dkim"}
    identities = encryption.identities(context, choice.identity) if sealed else []
    with choose.found(context, choice, wanted) as snapshot:
        wanted = snapshot.manifest.expected(wanted) if component == "all" else wanted
        choose.refuse_without_room(context, snapshot, wanted)
        left_out = choose.scan(context, snapshot, choice.quarantine) if "mail" in wanted else []
        gone = _erased(context, snapshot, erased) if {"mail", "mysql"} & set(wanted) else []
        head = {"snapshot": snapshot.id, "components": list(wanted), "left_out": left_out, "erased": gone}
        if dry_run:
            context.out.row("would", f"restore {', '.join(wanted)} of {snapshot.id}; nothing was changed")
            return {**head, "dry_run": True}
        _agree(context, yes, f"Replace {', '.join(wanted)} by {snapshot.id}?")
        with choose.changing(context):
            without = left_out if erased else [*left_out, *map(choose.folder_of, gone)]
            document = head | work.restore(context, snapshot, wanted, identities, without, erased)
    _show(context, document, snapshot)
    return document


def _erased(context: Context, snapshot: "Snapshot", wanted: bool) -> list[str]:
    """The mailboxes of people who were erased after the snapshot was taken: it would bring them back."""
    from mailctl.person import erase

    found = erase.since(context, snapshot.mailboxes, snapshot.taken)
    for name in found:
        fate = "comes back, until the nightly purge erases it again" if wanted else "is left out (--erased)"
        context.out.warn(f"{name} was erased after {snapshot.id} was taken: it {fate}")
    return found


def _show(context: Context, document: dict[str, Any], snapshot: "Snapshot") -> None:
    out = context.out
    out.row("restored", f"{', '.join(document['components'])} of {snapshot.id} in {document['seconds']} s")
    if "mail" in document["components"]:
        read = f"{document['messages']} mails in {document['mailboxes']} mailboxes"
        out.row("read back", f"{read}, {document['compared']} compared")
    for address in document["without_account"]:
        out.warn(f"{address} has no account, so its mails were not read back")
    for text in document["differences"]:
        out.warn(text)
    if "config" in document["components"]:
        bundle = snapshot.path / "config" / "repository.bundle"
        out.row("repository", f"not touched; compare: git fetch {bundle} HEAD && git diff FETCH_HEAD")
    out.row("kept", ", ".join(document["kept"]))
    out.row("next", "look at the mail; then make restore ARGS=--confirm, or ARGS=--undo to go back")


def _agree(context: Context, yes: bool, question: str) -> None:
    """Raises Misuse when nobody can be asked, Refused when the answer is no."""
    if yes:
        return
    if context.out.as_json or not sys.stdin.isatty():
        raise Misuse(Problem("restore", "there is no terminal to ask on; nothing was changed", "add --yes"))
    if not typer.confirm(question):
        raise Refused(Problem("restore", "not confirmed; nothing was changed", "run the command again"))
