"""What a drill found: as JSON for programs and as text for people, kept on the disk of the snapshots."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mailctl.backup.restore.readback import ReadBack
from mailctl.core.context import Context
from mailctl.core.folders import hdd
from mailctl.core.format import duration

NAME = "drill-report"


@dataclass
class Drill:
    """One drill. In seconds: the snapshot's `age` (RPO), until mail was `readable` (RTO), and in all.

    `learned`: the keys that a Valkey has of what rspamd has learned. `groupware`: events, tasks and contacts.
    """

    source: str
    snapshot: str = ""
    age: float | None = None
    readable: float | None = None
    total: float = 0.0
    read: ReadBack = field(default_factory=ReadBack)
    learned: int | None = None
    groupware: int | None = None
    unsealed: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.failures and not self.read.differences

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "source": self.source,
            "snapshot": self.snapshot,
            "rpo_seconds": self.age and round(self.age),
            "rto_seconds": self.readable and round(self.readable, 1),
            "total_seconds": round(self.total, 1),
            "decrypted": self.unsealed,
            "learned": self.learned,
            "groupware": self.groupware,
            "failures": self.failures,
            **self.read.as_dict(),
        }


def save(context: Context, document: dict[str, Any], results: list[Drill]) -> None:
    folder = hdd(context) / ".mailctl"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / f"{NAME}.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (folder / f"{NAME}.txt").write_text(f"{text(results)}\n", "utf-8")


def text(results: list[Drill]) -> str:
    """The report for people."""
    lines = [f"Restore drill of {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"]
    for one in results:
        lines += ["", f"{one.source}: {one.snapshot or 'no snapshot'}: {'passed' if one.ok else 'FAILED'}"]
        lines += [f"  {line}" for line in _lines(one)]
    return "\n".join(lines)


def _lines(one: Drill) -> list[str]:
    read = one.read
    lines = [f"wrong: {text}" for text in (*one.failures, *read.differences)]
    if one.age is not None:
        lines.append(f"mail newer than {duration(one.age)} would be lost (RPO)")
    if one.readable is not None:
        lines.append(
            f"mail could be read again after {duration(one.readable)} (RTO), {duration(one.total)} in all"
        )
        lines.append(f"{read.compared} mails in {read.mailboxes} mailboxes were read over IMAP and compared")
        lines += ["", f"{'':16}{'compared':>10}{'differ':>8}"]
        lines += [f"{kind:16}{counted:>10}{wrong:>8}" for kind, (counted, wrong) in read.table.items()]
        lines.append("")
    if one.learned is not None:
        lines.append(f"what rspamd has learned was read: {one.learned} keys")
    if one.groupware is not None:
        lines.append(f"calendars and address books were read: {one.groupware} entries")
    if one.unsealed:
        lines.append(f"decrypted: {', '.join(one.unsealed)}")
    if read.without_account:
        names = ", ".join(read.without_account)
        lines.append(f"without an account, so only their files were compared: {names}")
    return lines
