"""Whether restored mail is what the snapshot holds, asked over IMAP as a mail program would."""

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mailctl.backup.restore import imap
from mailctl.backup.restore.imap import Mailbox
from mailctl.backup.snapshot import Snapshot
from mailctl.core.errors import Refused

SAMPLE = 5


@dataclass
class ReadBack:
    """What was read: mails and folders counted, mails compared byte by byte, and everything that differs."""

    mailboxes: int = 0
    messages: int = 0
    compared: int = 0
    differences: list[str] = field(default_factory=list)
    without_account: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def read_back(snapshot: Snapshot, container: str, accounts: dict[str, str], whole: bool) -> ReadBack:
    """Count every folder of every mailbox, and compare a sample of its mails, or all of them when `whole`.

    `accounts` says which address opens a mailbox of the snapshot; one that none opens is named and not read.
    In a running server mail arrives meanwhile, so there may be more than the snapshot has; `whole` asks for
    equality.
    """
    result = ReadBack()
    for stored, counted in sorted(snapshot.mailboxes.items()):
        address = accounts.get(stored)
        if address is None:
            result.without_account.append(stored)
            continue
        name, _, domain = stored.partition("@")
        root = snapshot.path / "mail" / domain / name
        try:
            with imap.opened(container, address) as box:
                total = sum(
                    _folder(result, box, folder, path, whole) for folder, path in imap.folders(root).items()
                )
        except Refused as refusal:
            result.differences.append(str(refusal))
            continue
        result.mailboxes += 1
        if total != counted["messages"]:
            result.differences.append(
                f"{address}: the manifest counts {counted['messages']} mails, not {total}"
            )
    return result


def _folder(result: ReadBack, box: Mailbox, folder: str, maildir: Path, whole: bool) -> int:
    """Compare one folder; returns how many mails the snapshot has there."""
    mails = list(imap.mails(maildir))
    sizes = box.sizes(folder)
    result.messages += len(sizes)
    place = f"{box.address}/{folder}"
    if len(sizes) < len(mails) or (whole and len(sizes) != len(mails)):
        result.differences.append(f"{place}: {len(sizes)} mails, and {len(mails)} in the snapshot")
        return len(mails)
    if whole:
        wrong = _differing(mails, box.digests(folder))
        result.compared += len(mails)
    else:
        wrong = _unlike(mails, box, folder, list(sizes)[: len(mails)])
        result.compared += min(SAMPLE, len(mails))
    if wrong:
        result.differences.append(f"{place}: {wrong} mails are not what the snapshot has")
    return len(mails)


def _differing(mails: list[imap.Mail], found: Counter[str]) -> int:
    return (Counter(mail.digest for mail in mails) - found).total()


def _unlike(mails: list[imap.Mail], box: Mailbox, folder: str, uids: list[int]) -> int:
    """How many of a few mails are not in the snapshot; only files of their size are read for that."""
    sample = sorted(random.sample(uids, min(SAMPLE, len(uids))))
    by_size: dict[int, list[imap.Mail]] = {}
    for mail in mails:
        by_size.setdefault(mail.size, []).append(mail)
    wrong = 0
    for content in box.contents(folder, sample):
        digest = hashlib.sha256(content).hexdigest()
        wrong += all(mail.digest != digest for mail in by_size.get(len(content), []))
    return wrong
