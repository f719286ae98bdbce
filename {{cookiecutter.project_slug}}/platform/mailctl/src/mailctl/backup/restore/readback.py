"""Whether restored mail is what the snapshot holds, asked over IMAP as a mail program would."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from mailctl.backup.restore import imap, stored
from mailctl.backup.restore.imap import Mailbox, Shown
from mailctl.core.containers import output
from mailctl.core.errors import Refused
from mailctl.core.snapshots import Snapshot

SAMPLE = 5
# Dovecot gives mails one of these by itself.
OWN_KEYWORDS = frozenset({"$HasAttachment", "$HasNoAttachment"})
# Those of folders with more keywords than file names have letters for.
FURTHER = "keywords > 26"


@dataclass
class ReadBack:
    """What was read: mails and folders counted, mails compared byte by byte, and everything that differs.

    `table` says of each kind of thing how many were compared and how many differ.
    """

    mailboxes: int = 0
    messages: int = 0
    compared: int = 0
    table: dict[str, list[int]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    without_account: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def judge(self, kind: str, same: bool) -> int:
        """Count one thing that was compared; returns 1 when it differs."""
        row = self.table.setdefault(kind, [0, 0])
        row[0], row[1] = row[0] + 1, row[1] + (not same)
        return not same

    def told(self, place: str, wrong: Counter[str]) -> None:
        """Say what differs in `place`, by kind."""
        for kind, number in (+wrong).items():
            self.differences.append(f"{place}: {number} {kind} are not what the snapshot has")


def read_back(snapshot: Snapshot, container: str, accounts: dict[str, str], whole: bool) -> ReadBack:
    """Count every folder of every mailbox, and compare a sample of its mails, or everything when `whole`.

    `accounts` says which address opens a mailbox of the snapshot; one that none opens is named and not read.
    In a running server mail arrives meanwhile, so there may be more than the snapshot has; `whole` asks for
    equality.
    """
    result = ReadBack()
    for name, counted in sorted(snapshot.mailboxes.items()):
        address = accounts.get(name)
        if address is None:
            result.without_account.append(name)
            continue
        user, _, domain = name.partition("@")
        root = snapshot.path / "mail" / domain / user
        try:
            with imap.opened(container, address) as box:
                total = sum(
                    _folder(result, box, folder, path, whole) for folder, path in stored.folders(root).items()
                )
                if whole:
                    result.told(address, _beside_mails(result, box, root, counted["folders"]))
            if whole:
                result.told(address, _scripts(result, container, address, root))
        except (Refused, ValueError) as error:
            result.differences.append(str(error))
            continue
        result.mailboxes += 1
        if total != counted["messages"]:
            result.differences.append(
                f"{address}: the manifest counts {counted['messages']} mails, not {total}"
            )
    return result


def _folder(result: ReadBack, box: Mailbox, folder: str, maildir: Path, whole: bool) -> int:
    """Compare one folder; returns how many mails the snapshot has there."""
    mails = list(stored.mails(maildir))
    count, place = box.count(folder), f"{box.address}/{folder}"
    result.messages += count
    if count < len(mails) or (whole and count != len(mails)):
        result.differences.append(f"{place}: {count} mails, and {len(mails)} in the snapshot")
        result.judge("mails", False)
        return len(mails)
    chosen = None if whole else sorted(mail.uid for mail in box.mails(folder))[: len(mails)]
    if chosen:
        chosen = sorted(random.sample(chosen, min(SAMPLE, len(chosen))))
    result.told(place, _compare(result, box, folder, mails, stored.folder(maildir), chosen))
    result.compared += len(mails) if chosen is None else len(chosen)
    return len(mails)


def _compare(
    result: ReadBack,
    box: Mailbox,
    folder: str,
    mails: list[stored.Mail],
    known: stored.Folder,
    chosen: list[int] | None,
) -> Counter[str]:
    """Every mail of a folder, or the content of those that are `chosen`. How many differ, by kind.

    A mail is found by its UID; one that had none yet by its content.
    """
    numbered = {mail.uid: mail for mail in mails if mail.uid is not None and known.validity is not None}
    unnumbered = {mail.digest: mail for mail in mails if mail.uid not in numbered}
    wrong: Counter[str] = Counter()
    for shown in box.mails(folder, chosen, read=True):
        mail = numbered.get(shown.uid) or unnumbered.get(shown.digest)
        found = _alike(shown, mail, known) if mail else [("UIDs", False)]
        for kind, same in islice(found, None if chosen is None else 1):
            wrong[kind] += result.judge(kind, same)
    if known.validity is not None and chosen is None:
        wrong["UIDVALIDITY"] += result.judge("UIDVALIDITY", box.validity == known.validity)
    return wrong


def _alike(shown: Shown, mail: stored.Mail, known: stored.Folder) -> Iterator[tuple[str, bool]]:
    yield "mails", shown.digest == mail.digest
    yield "UIDs", mail.uid in (None, shown.uid) or known.validity is None
    yield "dates", shown.received == mail.received
    yield "flags", _system(shown.flags) == _system(mail.flags)
    there, then = (flags - _system(flags) - OWN_KEYWORDS for flags in (shown.flags, mail.flags))
    yield "keywords", there & known.keywords == then
    if known.full or there - known.keywords:
        further = known.in_index.get(mail.uid or 0, frozenset()) - known.keywords - OWN_KEYWORDS
        yield FURTHER, there - known.keywords == further


def _system(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flag for flag in flags if flag.startswith("\\"))


def _beside_mails(result: ReadBack, box: Mailbox, root: Path, counted: dict[str, int]) -> Counter[str]:
    """The names of all folders, empty ones too, and the subscriptions."""
    wanted = {"folders": (counted, set(box.folders()))}
    wanted["subscriptions"] = (dict.fromkeys(stored.subscriptions(root), 0), set(box.subscribed()))
    wrong: Counter[str] = Counter()
    for kind, (names, there) in wanted.items():
        wrong[kind] = sum(result.judge(kind, name in there) for name in names)
    return wrong


def _scripts(result: ReadBack, container: str, address: str, root: Path) -> Counter[str]:
    """The sieve scripts, as the server gives them out, and which of them is active."""
    scripts, active = stored.scripts(root)
    wrong: Counter[str] = Counter()
    for name, content in scripts.items():
        found = output(container, "doveadm", "sieve", "get", "-u", address, name)
        wrong["sieve scripts"] += result.judge("sieve scripts", content.strip() in found)
    if active:
        same = imap.scripts(container, address).get(active, False)
        wrong["active scripts"] += result.judge("active scripts", same)
    return wrong
