"""Restores on one of several hosts: nothing changes places there, as services and tables are everybody's."""

from collections.abc import Callable
from typing import Any

from mailctl.backup.restore import choose
from mailctl.backup.restore.merge import Part, merge
from mailctl.core import placement
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshots import Snapshot
from mailctl.person import erase

STEPS = 'docs/several-hosts.md, "Backups, and looking after several hosts", has the steps'


def mailboxes(
    context: Context, choice: choose.Choice, component: str, dry_run: bool, agree: Callable[[str], None]
) -> dict[str, Any]:
    """Add to every mailbox of this host what a snapshot has and it lacks. Raises Refused.

    What is on another host now, or erased since, is named and left out. One that fails stops no other.
    """
    if component != "mail":
        wrong = "is not restored by this command on several hosts: every host uses it"
        raise Refused(Problem("--component", wrong, f"--component mail, or: {STEPS}", value=component))
    held = placement.held(context)
    here = {"@".join(reversed(home.split("/"))) for home in (held.homes if held else ())}
    with choose.found(context, choice, ("mail",)) as snapshot:
        infected = choose.scan(context, snapshot, choice.quarantine)
        gone = erase.since(context, snapshot.mailboxes, snapshot.taken)
        wanted = sorted(name for name in snapshot.mailboxes if name in here and name not in gone)
        elsewhere = sorted(snapshot.mailboxes.keys() - set(wanted))
        for name in elsewhere:
            why = "was erased since" if name in gone else "is not on this host now"
            context.out.warn(f"{name} {why}: left out")
        if not dry_run:
            agree(f"Add to {len(wanted)} mailboxes what they lack of {snapshot.id}?")
        added, wrong = _merged(context, snapshot, wanted, infected, dry_run)
    word = "would be added" if dry_run else "added"
    context.out.row("mailboxes", f"{sum(added.values())} mails {word} to {len(added)} mailboxes")
    about = {"snapshot": snapshot.id, "components": ["mail"], "dry_run": dry_run, "left_out": infected}
    return {**about, "added": added, "elsewhere": elsewhere, "differences": wrong}


def _merged(
    context: Context, snapshot: Snapshot, names: list[str], infected: list[str], dry_run: bool
) -> tuple[dict[str, int], list[str]]:
    """How many mails each mailbox was given, and what went wrong."""
    added, wrong = dict[str, int](), list[str]()
    for name in names:
        # Whoever has an address after somebody else has a folder name+2: no address has a plus sign.
        local, _, domain = name.partition("@")
        try:
            part = Part(f"{local.partition('+')[0]}@{domain}", name)
            added[name] = sum(merge(context, snapshot, part, infected, dry_run)["added"].values())
        except Refused as refusal:
            wrong.append(f"{name}: {refusal}")
            context.out.warn(wrong[-1])
    return added, wrong
