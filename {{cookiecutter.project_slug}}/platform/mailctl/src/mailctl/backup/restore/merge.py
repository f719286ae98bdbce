"""Brings one mailbox or folder back while the server runs: what is missing is appended, nothing doubled."""

import os
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mailctl.backup.restore import imap
from mailctl.backup.restore.imap import Mail, Mailbox
from mailctl.backup.snapshot import Snapshot
from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused


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

    def mails(self, snapshot: Snapshot, leave_out: Collection[str]) -> dict[str, list[Mail]]:
        """The mails by the folder they go into. Raises Misuse, with the names that there are."""
        root = self.below(snapshot.path / "mail")
        if self.stored not in snapshot.mailboxes or not root.is_dir():
            near = get_close_matches(self.stored, snapshot.mailboxes, n=3) or sorted(snapshot.mailboxes)[:10]
            fix = f"it has: {', '.join(near)}" if near else "it has no mailbox at all; use another snapshot"
            fix += "; one of those, if it is really meant, with --of"
            raise Misuse(Problem("--mailbox", f"is not in {snapshot.id}", fix, value=self.stored))
        found = imap.folders(root)
        if self.folder is not None:
            name = "INBOX" if self.folder.upper() == "INBOX" else imap.utf7(self.folder)
            if name not in found:
                fix = f"it has: {', '.join(found)}"
                raise Misuse(Problem("--folder", "is not in this mailbox", fix, value=self.folder))
            found = {name: found[name]}
        without = {snapshot.path / path for path in leave_out}
        return {
            f"{self.front}{name}": [mail for mail in imap.mails(path) if mail.path not in without]
            for name, path in found.items()
        }

    @property
    def front(self) -> str:
        """What the names of the folders begin with that are written to."""
        return f"{imap.utf7(self.into)}/" if self.into else ""


def merge(
    context: Context, snapshot: Snapshot, part: Part, leave_out: Collection[str], dry_run: bool
) -> dict[str, Any]:
    """Append what the mailbox lacks and read it back; returns what was added. Raises Refused and Misuse.

    A mail counts as there when its content is anywhere in the mailbox, or below `into`: a person may have
    moved it. By content, not by Message-ID, which senders repeat. Over IMAP: Dovecot keeps its own files.
    """
    wanted = part.mails(snapshot, leave_out)
    added, present = {}, {}
    dovecot = running(context, "dovecot")
    with imap.opened(dovecot, part.address) as box:
        there = _present(box, wanted, part.front)
        for name, found in wanted.items():
            lacking = _lacking(found, there)
            added[name], present[name] = len(lacking), len(found) - len(lacking)
            if lacking and not dry_run:
                box.ensure(name)
                for mail in lacking:
                    box.add(name, mail)
        if not dry_run:
            _read_back(part.address, wanted, _present(box, wanted, part.front))
    whole = not (dry_run or part.folder or part.into)
    scripts = _missing_scripts(dovecot, part.address, part.below(snapshot.path / "mail")) if whole else []
    return {"mailbox": part.address, "added": added, "present": present, "sieve": scripts}


def _missing_scripts(dovecot: str, address: str, root: Path) -> list[str]:
    """Put back the sieve scripts that the mailbox lacks; one that is active is left so."""
    listed = output(dovecot, "doveadm", "sieve", "list", "-u", address).decode("utf-8", "replace")
    there = {line.removesuffix(" ACTIVE") for line in listed.splitlines()}
    active = "" if " ACTIVE" in listed else Path(os.path.realpath(root / ".dovecot.sieve")).stem
    put = []
    for path in sorted(root.glob("sieve/*.sieve")):
        if path.stem not in there:
            words = ("-a", path.stem) if path.stem == active else (path.stem,)
            output(dovecot, "doveadm", "sieve", "put", "-u", address, *words, stdin=path.read_bytes())
            put.append(path.stem)
    return put


def _present(box: Mailbox, wanted: dict[str, list[Mail]], front: str) -> Counter[str]:
    """The digests of what is there; only mails of a size that is looked for are read."""
    sizes = {mail.size for mails in wanted.values() for mail in mails}
    found: Counter[str] = Counter()
    for folder in box.folders():
        if folder.startswith(front):
            uids = [uid for uid, size in box.sizes(folder).items() if size in sizes]
            found.update(box.digests(folder, uids))
    return found


def _lacking(mails: list[Mail], there: Counter[str]) -> list[Mail]:
    """Those that are not there; one that is there twice answers for two."""
    lacking = []
    for mail in mails:
        if there[mail.digest] > 0:
            there[mail.digest] -= 1
        else:
            lacking.append(mail)
    return lacking


def _read_back(address: str, wanted: dict[str, list[Mail]], there: Counter[str]) -> None:
    lost = Counter(mail.digest for mails in wanted.values() for mail in mails) - there
    if lost:
        wrong = f"{lost.total()} mails were appended and cannot be read back"
        raise Refused(Problem(address, wrong, "run the same command again; it appends only what is missing"))
