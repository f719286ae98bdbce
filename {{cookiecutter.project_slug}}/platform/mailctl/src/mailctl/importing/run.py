"""Imports the mail of one person: fetches it, adds what the mailbox here lacks, and counts both sides."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailctl.backup.beside import INDEX, KEYWORDS
from mailctl.backup.restore import imap as here
from mailctl.backup.restore import merge, stage
from mailctl.backup.restore.journal import remove
from mailctl.backup.restore.stored import Mail
from mailctl.core import disks, hosts
from mailctl.core.containers import output, running
from mailctl.core.context import Context
from mailctl.core.disk_locks import alone
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.folders import hdd, private
from mailctl.core.format import plain, size
from mailctl.core.placement import refuse_elsewhere
from mailctl.importing import imap, maildir, mbox, memory, room
from mailctl.importing.names import VIEWS
from mailctl.importing.part import Part

# Mails of one folder that are added in one go.
BATCH = 1000
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wanted:
    """Whose mail comes from where: an account on another server, or a path on this host."""

    address: str
    source: imap.Server | Path


@dataclass(frozen=True)
class Found:
    """A mail that was fetched."""

    part: Part
    mail: Mail
    digest: str

    @property
    def file(self) -> str:
        """What it is remembered by, whatever its flags."""
        return f"{self.part.maildir.name}/{self.mail.path.name.partition(':')[0]}"


def bring(context: Context, wanted: Wanted, tell: Tell) -> dict[str, Any]:
    """Import it; a second time only what is new there. Returns a row for each folder. Raises Refused."""
    refuse_elsewhere(context, wanted.address)
    dovecot = running(context, hosts.store(context))
    here.stored_as(dovecot, wanted.address)  # refuses who has no account
    done = memory.Memory(private(memory.home(context, wanted.address)) / "done")
    try:
        parts = _fetch(context, wanted, tell)
        with alone(context, "restore"):
            merge.settle(dovecot)
            _add(context, wanted.address, dovecot, [part for part in parts if part.to], done, tell)
    finally:
        mbox.clear(_written(context, wanted.address))
    impossible = [part for part in parts if not part.to]
    for part in impossible:
        part.left_out = part.total
    problems = [_nameless(part) for part in impossible] + [_fewer(p) for p in parts if _is_short(p)]
    return {"address": wanted.address, "ok": not problems, "folders": [p.report() for p in parts]} | (
        {"problems": [problem.as_dict() for problem in problems]} if problems else {}
    )


def _written(context: Context, address: str) -> Path:
    return memory.home(context, address) / "written"


def _fetch(context: Context, wanted: Wanted, tell: Tell) -> list[Part]:
    """Its folders, each as a Maildir on this host."""
    source = wanted.source
    if isinstance(source, imap.Server):
        folders = imap.look(source)
        into = memory.fetched(context, wanted.address, f"{source.login} {source.host}")
        all_of_it = [each for each in folders if each.role not in VIEWS]
        mails, bytes = sum(each.total for each in all_of_it), sum(each.size for each in all_of_it)
        room.need(context, wanted.address, {into: room.to_fetch(into, mails, bytes)})
        return imap.fetch(context, source, into, folders, room.watched(context, into, "fetching", tell))
    if source.is_dir() and (found := maildir.parts(source)):
        return found
    if not source.exists():
        fix = "imaps://HOST, a Maildir, an mbox file, or a folder with some"
        raise Misuse(Problem("source", "is not there", fix, value=str(source)))
    into = _written(context, wanted.address)
    mbox.clear(into)
    room.need(context, wanted.address, {into: mbox.size(source)})
    into.mkdir(mode=0o700)
    return mbox.write(source, into, room.watched(context, into, "reading", tell))


def _add(
    context: Context, address: str, dovecot: str, parts: list[Part], done: memory.Memory, tell: Tell
) -> None:
    """Add what is neither here nor was imported before, and note it once it has been read back."""
    fetched = list(_read(parts, done, tell))
    before, new = _new(fetched, done)
    sizes = {one.part.size(one.mail) for one in new}
    with here.opened(dovecot, address) as box:
        there = merge.present(box, sizes, "")
        lacking = list(_lacking(new, there, before))
        _refuse_full(address, dovecot, lacking)
        room.need(context, address, {_staging(context): _copied(context, lacking)})
        made = box.ensure(sorted({one.part.to for one in lacking}))
        box.subscribe(made)
    for number in range(0, len(lacking), BATCH):
        tell("adding", number, len(lacking))
        _bring_in(context, dovecot, address, lacking[number : number + BATCH])
    with here.opened(dovecot, address) as box:
        if lacking:
            expected = Counter(one.digest for one in new)
            merge.read_back(address, expected, merge.present(box, sizes, ""))
        there_now = set(box.folders())
        for part in parts:
            part.counts["here"] = box.count(part.to) if part.to in there_now else 0
    done.add((one.digest, one.file) for one in new)


def _read(parts: list[Part], done: memory.Memory, tell: Tell) -> Iterator[Found]:
    """Every mail that was fetched, of "All Mail" only those that are in no other folder."""
    total, number = sum(part.total for part in parts), 0
    elsewhere: set[str] = set()
    for part in sorted(parts, key=lambda part: part.rest):
        part.counts = {"fetched": 0, "elsewhere": 0, "before": 0, "present": 0, "added": 0, "here": 0}
        for mail in part.mails():
            digest = done.known.get(Found(part, mail, "").file) or mail.digest
            part.counts["fetched"] += 1
            number += 1
            if not number % 100:
                tell("reading", number, max(total, number))
            if part.rest and digest in elsewhere:
                part.counts["elsewhere"] += 1
                continue
            elsewhere.add(digest)
            yield Found(part, mail, digest)


def _new(fetched: list[Found], done: memory.Memory) -> tuple[Counter[str], list[Found]]:
    """What was imported before, by digest, and the mails that were not: deleted here, they stay deleted."""
    left, before, new = done.done.copy(), Counter[str](), list[Found]()
    for one in fetched:
        if left[one.digest] > 0:
            left[one.digest] -= 1
            before[one.digest] += 1
            one.part.counts["before"] += 1
        else:
            new.append(one)
    return before, new


def _lacking(new: list[Found], there: Counter[str], before: Counter[str]) -> Iterator[Found]:
    """Those that are nowhere here, by content; a copy here answers for one mail, the earlier ones first."""
    left = there - before
    for one in new:
        if left[one.digest] > 0:
            left[one.digest] -= 1
            one.part.counts["present"] += 1
        else:
            one.part.counts["added"] += 1
            yield one


def _refuse_full(address: str, dovecot: str, lacking: list[Found]) -> None:
    """Refuse what does not fit before anything is added."""
    if not lacking:
        return
    listed = output(dovecot, "doveadm", "-f", "tab", "quota", "get", "-u", address).decode()
    rows = [line.split("\t") for line in listed.splitlines()]
    limits = [(int(row[2]), int(row[3])) for row in rows if row[1] == "STORAGE" and row[3].isdigit()]
    sizes = {id(one): one.part.size(one.mail) for one in lacking}
    need, largest = sum(sizes.values()), max(lacking, key=lambda one: sizes[id(one)])
    for used, limit in limits:
        if used * 1024 + need > limit * 1024:
            where = plain(largest.part.name)
            wrong = (
                f"is too small: {size(used * 1024)} of {size(limit * 1024)} are used, {size(need)} come in;"
                f" the largest mail has {size(sizes[id(largest)])}, in {where}"
            )
            fix = f".venv/bin/mailctl user set {address} --quota SIZE, then run the same command again"
            raise Refused(Problem("quota", wrong, fix, value=address))


def _copied(context: Context, lacking: list[Found]) -> int:
    """The bytes that adding them takes on the disk: what this import fetched is linked, not copied."""
    copied = [one for one in lacking if not _is_linked(one.part, _staging(context).parent.parent)]
    return sum(disks.on_disk(one.part.size(one.mail)) for one in copied)


def _staging(context: Context) -> Path:
    return hdd(context) / "mailboxes" / merge.STAGING


def _is_linked(part: Part, place: Path) -> bool:
    return part.ours and os.stat(part.maildir).st_dev == os.stat(place).st_dev


def _bring_in(context: Context, dovecot: str, address: str, batch: list[Found]) -> None:
    """Have Dovecot import mails, folder by folder: each Maildir has its own letters for keywords."""
    for part in dict.fromkeys(id(one.part) for one in batch):
        mails = [one for one in batch if id(one.part) == part]
        with _staged(context, mails[0].part, [one.mail for one in mails]):
            merge.bring_in(dovecot, merge.Part(address, address))


@contextmanager
def _staged(context: Context, part: Part, mails: list[Mail]) -> Iterator[None]:
    """A mailbox with these mails in the folder they go to, in Dovecot's reach. Gone afterwards."""
    place, owner = _staging(context), stage.vmail()
    remove([place])
    root = place / "mail"
    folder = root if part.to == "INBOX" else root / f".{part.to.replace('/', '.')}"
    try:
        for each in dict.fromkeys((place.parent, place, root, folder)):
            if not each.exists():
                stage.make_folder(each, owner)
        for name in ("cur", "new", "tmp"):
            stage.make_folder(folder / name, owner)
        for beside in (KEYWORDS, *((stage.UIDLIST, *INDEX) if part.ours else ())):
            if (part.maildir / beside).is_file():
                stage.copy(str(part.maildir / beside), str(folder / beside), owner)
        linked = _is_linked(part, folder)
        for mail in mails:
            target = folder / part.file_name(mail)
            if linked:
                os.link(mail.path, target, follow_symlinks=False)
            else:
                stage.copy(str(mail.path), str(target), owner)
        yield
    finally:
        remove([place])


def _nameless(part: Part) -> Problem:
    wrong = f"no folder here can have such a long name; its {part.total} mails were left out"
    return Problem(
        "folder", wrong, "give it a shorter name there, and run this again", value=plain(part.name)
    )


def _is_short(part: Part) -> bool:
    return bool(part.to) and part.counts.get("fetched", 0) < part.total


def _fewer(part: Part) -> Problem:
    wrong = f"{part.total} mails there, {part.counts['fetched']} came: some were deleted meanwhile, or lost"
    return Problem("folder", wrong, "run the same command again", value=plain(part.name))
