"""Brings one mailbox or folder back while the server runs: what is missing is imported, nothing doubled."""

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from threading import Event
from typing import Any

from mailctl.backup.beside import INDEX, KEYWORDS
from mailctl.backup.maildir import MESSAGES
from mailctl.backup.restore import imap, stage, stored
from mailctl.backup.restore.imap import Mailbox
from mailctl.backup.restore.journal import remove
from mailctl.backup.restore.stored import Mail
from mailctl.core import hosts
from mailctl.core.containers import output, processes, running
from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.folders import hdd
from mailctl.core.snapshots import Snapshot

# Below the folder of the mailboxes, where Dovecot finds it; no backup looks into a folder with a dot.
STAGING, SEEN_AS = ".mailctl/restore", "/srv/vmail/.mailctl/restore/mail"
IMPORT_SECONDS = 12 * 3600
# Of a folder's whole name in modified UTF-7: its Maildir has a dot in front.
LONGEST = 254


@dataclass(frozen=True)
class Part:
    """What of a snapshot shall come back: a mailbox, one `folder` of it, and below which folder it goes.

    `stored` is the mailbox's name in the snapshot. It is not always the address: whoever has an address
    after somebody else has another folder, and must not be given the mail of the other.
    """

    address: str
    stored: str
    folder: str | None = None
    into: str | None = None

    def below(self, mailboxes: Path) -> Path:
        """The mailbox's place in a folder of mailboxes."""
        name, _, domain = self.stored.partition("@")
        return mailboxes / domain / name

    def folders(self, snapshot: Snapshot) -> dict[str, Path]:
        """The Maildirs by the folder they go into. Raises Misuse, with the names that there are."""
        root = self.below(snapshot.path / "mail")
        if self.stored not in snapshot.mailboxes or not root.is_dir():
            near = get_close_matches(self.stored, snapshot.mailboxes, n=3) or sorted(snapshot.mailboxes)[:10]
            fix = f"it has: {', '.join(near)}" if near else "it has no mailbox at all; use another snapshot"
            fix += "; one of those, if it is really meant, with --of"
            raise Misuse(Problem("--mailbox", f"is not in {snapshot.id}", fix, value=self.stored))
        found = stored.folders(root)
        if self.folder is not None:
            name = "INBOX" if self.folder.upper() == "INBOX" else stored.utf7(self.folder)
            if name not in found:
                fix = f"it has: {', '.join(found)}"
                raise Misuse(Problem("--folder", "is not in this mailbox", fix, value=self.folder))
            found = {name: found[name]}
        into = {f"{self.front}{name}": path for name, path in found.items()}
        if self.into and len(longest := max(into, key=len, default="")) > LONGEST:
            fix = "choose a shorter one, or bring single folders back: --folder NAME"
            raise Misuse(
                Problem("--into", f"makes a name that no disk takes: {longest}", fix, value=self.into)
            )
        return into

    @property
    def front(self) -> str:
        """What the names of the folders begin with that are written to."""
        return f"{stored.utf7(self.into)}/" if self.into else ""

    @property
    def whole(self) -> bool:
        """Whether the mailbox is to be again what it was: its subscriptions and scripts come back too."""
        return not (self.folder or self.into)


def merge(
    context: Context, snapshot: Snapshot, part: Part, leave_out: Collection[str], dry_run: bool
) -> dict[str, Any]:
    """Import what the mailbox lacks and read it back; returns what was added. Raises Refused and Misuse.

    A mail counts as there when its content is anywhere in the mailbox, or below `into`: a person may have
    moved it. By content, not by Message-ID, which senders repeat. Dovecot itself copies the mails.
    """
    wanted, without = part.folders(snapshot), {snapshot.path / path for path in leave_out}
    mails = {name: [m for m in stored.mails(path) if m.path not in without] for name, path in wanted.items()}
    sizes = {mail.size for found in mails.values() for mail in found}
    added, lacking, expected = {}, {}, Counter[str]()
    dovecot, root = running(context, hosts.store(context)), part.below(snapshot.path / "mail")
    settle(dovecot)
    with imap.opened(dovecot, part.address) as box:
        there = present(box, sizes, part.front)
        for name, found in mails.items():
            lacking[name] = list(_lacking(found, there, expected))
            added[name] = len(lacking[name])
        if not dry_run:
            made = box.ensure(name for name in wanted if part.whole or added[name])
            box.subscribe(stored.subscriptions(root) if part.whole else made)
    if any(added.values()) and not dry_run:
        with _staged(context, {wanted[name]: found for name, found in lacking.items()}):
            bring_in(dovecot, part)
        with imap.opened(dovecot, part.address) as box:
            read_back(part.address, expected, present(box, sizes, part.front))
    scripts = _missing_scripts(dovecot, part.address, root) if part.whole and not dry_run else []
    had = {name: len(found) - added[name] for name, found in mails.items()}
    return {"mailbox": part.address, "added": added, "present": had, "sieve": scripts}


@contextmanager
def _staged(context: Context, lacking: dict[Path, list[Mail]]) -> Iterator[None]:
    """A mailbox of what is missing, with its keywords, in Dovecot's reach. Gone afterwards."""
    home, owner = hdd(context) / "mailboxes" / STAGING, stage.vmail()
    remove([home])
    try:
        for folder in (home.parent, home, home / "mail"):
            if not folder.exists():
                stage.make_folder(folder, owner)
        for maildir, mails in lacking.items():
            place = home / "mail" / ("" if maildir.name == "mail" else maildir.name)
            for folder in (place, *(place / name for name in (*MESSAGES, "tmp"))):
                if not folder.exists():
                    stage.make_folder(folder, owner)
            beside = (name for name in (KEYWORDS, stage.UIDLIST, *INDEX) if (maildir / name).exists())
            for name in (*beside, *(mail.name for mail in mails)):
                stage.copy(str(maildir / name), str(place / name), owner)
        yield
    finally:
        remove([home])


def settle(dovecot: str) -> None:
    """Wait for an import that outlived its mailctl, which was killed: it goes on in the container."""
    end, pause = time.monotonic() + IMPORT_SECONDS, Event()
    while any(SEEN_AS in line for line in processes(dovecot)):
        if time.monotonic() > end:
            fix = "docker compose restart dovecot; then run the same command again"
            raise Refused(Problem("doveadm import", "an earlier one does not come to its end", fix))
        pause.wait(1)


def bring_in(dovecot: str, part: Part) -> None:
    """Flags, keywords and dates come along; on the same disk the files too, as further names of them."""
    words = ("import", "-u", part.address, "--", f"maildir:{SEEN_AS}", part.into or "", "ALL")
    try:
        output(dovecot, "doveadm", *words, limit=IMPORT_SECONDS)
    except Refused as refusal:
        said = refusal.problems[0].wrong
        full = "uota" in said
        fix = "raise the mailbox's quota in usermgmt" if full else "look at: make logs SERVICE=dovecot"
        again = f"{fix}; then run the same command again: it adds only what is missing"
        raise Refused(Problem(part.address, said, again)) from None


def _missing_scripts(dovecot: str, address: str, root: Path) -> list[str]:
    """Put back the sieve scripts that the mailbox lacks; one that is active is left so."""
    there = imap.scripts(dovecot, address)
    scripts, active = stored.scripts(root)
    put = []
    for name, content in scripts.items():
        if name not in there:
            words = ("-a", name) if name == active and not any(there.values()) else (name,)
            output(dovecot, "doveadm", "sieve", "put", "-u", address, *words, stdin=content)
            put.append(name)
    return put


def present(box: Mailbox, sizes: set[int], front: str) -> Counter[str]:
    """The digests of what is there; only mails of a size that is looked for are read."""
    found: Counter[str] = Counter()
    for folder in box.folders():
        if folder.startswith(front):
            uids = [mail.uid for mail in box.mails(folder) if mail.size in sizes]
            found.update(box.digests(folder, uids))
    return found


def _lacking(mails: list[Mail], there: Counter[str], expected: Counter[str]) -> Iterator[Mail]:
    """Those that are not there; one that is there twice answers for two. `expected` counts all."""
    for mail in mails:
        digest = mail.digest
        expected[digest] += 1
        if there[digest] > 0:
            there[digest] -= 1
        else:
            yield mail


def read_back(address: str, expected: Counter[str], there: Counter[str]) -> None:
    """Refuse when mails that were imported are not there."""
    if lost := expected - there:
        wrong = f"{lost.total()} mails were imported and cannot be read back"
        raise Refused(Problem(address, wrong, "run the same command again; it adds only what is missing"))
