"""Copies mailboxes into a snapshot: what is new once, what the previous snapshot holds as a hard link to it.

Never a link to the live mailbox: whoever can write there would change every snapshot through the shared file.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mailctl.backup import beside
from mailctl.backup.beside import copy_file, digest_of
from mailctl.backup.maildir import MAIL, ROUNDS, Mailbox, Message
from mailctl.core.descriptors import Folders, directory, open_directory, opened
from mailctl.core.snapshot_manifest import MAIL_INDEX, file_digest, index_line, read_index
from mailctl.core.snapshots import Progress

THREADS, BATCH = 4, 64
# Reasons for which a file cannot be linked and is copied instead.
NO_LINK = (errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP, errno.ENOENT)

Found = dict[str, tuple[str, str, str]]


@dataclass
class Copied:
    """What is in a snapshot's mail: SHA-256 by path, counts by address, links; `new_bytes` were copied.

    `small` are the files beside the mails: SHA-256 and size by path.
    """

    index: list[tuple[str, str]] = field(default_factory=list)
    mailboxes: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    small: dict[str, tuple[str, int]] = field(default_factory=dict)
    bytes: int = 0
    new: int = 0
    new_bytes: int = 0

    def component(self, index_sha256: str) -> dict[str, Any]:
        """As the manifest describes it."""
        counts = {"ok": True, "files": len(self.index), "bytes": self.bytes, "links": self.links}
        return {**counts, "index_sha256": index_sha256, "mailboxes": self.mailboxes}


@dataclass
class Plan:
    """A mailbox as it is now: `linked` is in the previous snapshot, `copied` is not, `missed` may be gone."""

    name: str
    home: int
    box: Mailbox
    folders: list[str] = field(default_factory=list)
    linked: list[tuple[Message, str, str, str]] = field(default_factory=list)
    copied: list[Message] = field(default_factory=list)
    missed: list[Message] = field(default_factory=list)


class MailCopy:
    """The copy of all mailboxes below `source` into `target`/mail. First `plan`, then `copy`.

    `previous` is the folder of the snapshot whose unchanged mails are linked. With `compare` each is read
    first: a disk that flips a bit changes no time, and the mail would be damaged in every later snapshot too.
    `homes`, of several hosts: the mailboxes, and the folder below `source` of each.
    """

    def __init__(
        self,
        source: Path,
        target: Path,
        previous: Path | None = None,
        compare: bool = False,
        homes: Mapping[str, str] | None = None,
    ) -> None:
        self.target, self.previous, self.compare, self.homes = target, previous, compare, homes
        self.result = Copied()
        self.plans: list[Plan] = []
        self._before = _index_of(previous) if previous else {}
        self._source = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def __enter__(self) -> "MailCopy":
        return self

    def __exit__(self, *_: object) -> None:
        for fd in (self._source, *(plan.home for plan in self.plans)):
            os.close(fd)

    def plan(self) -> tuple[int, int]:
        """Look at every mailbox; the number of mails and of bytes that will be copied.

        The small files beside the mails are copied here: a uidlist must not be newer than the listing.
        """
        homes = {name: name for name in _mailboxes(self._source)} if self.homes is None else self.homes
        for name, place in homes.items():
            home = open_directory(self._source, place)
            if home is None:
                continue
            plan = Plan(name, home, Mailbox(home))
            self.plans.append(plan)
            self._beside(plan, beside.copy(home, self._target(plan)))
            messages, plan.missed = plan.box.settle()
            plan.folders = plan.box.present
            self._divide(plan, messages)
        todo = [m for plan in self.plans for m in plan.copied]
        return len(todo), sum(m.size for m in todo)

    @property
    def total(self) -> int:
        """The number of messages that the plan found."""
        return sum(len(plan.linked) + len(plan.copied) for plan in self.plans)

    def copy(self, progress: Progress | None = None) -> Copied:
        """Carry out the plan and write mail.sha256. Raises OSError: the disk is full or fails."""
        for plan in self.plans:
            self._mailbox(plan, progress or (lambda files, size: None))
        (self.target / MAIL).mkdir(exist_ok=True)
        self.result.bytes += sum(size for _, size in self.result.small.values())
        self.result.index += [(path, digest) for path, (digest, _) in self.result.small.items()]
        self.result.index.sort()
        with (self.target / MAIL_INDEX).open("wb") as file:
            file.writelines(index_line(path, digest) for path, digest in self.result.index)
        return self.result

    def _divide(self, plan: Plan, messages: list[Message]) -> None:
        """Which messages the previous snapshot holds unchanged, by rsync's test: size and time."""
        known = self._before.pop(plan.name, None)
        if not known or self.previous is None:
            plan.copied = messages
            return
        with opened(self.previous / MAIL / plan.name) as root, Folders(root) as before:
            for message in messages:
                found = known.get(message.name.partition(":")[0])
                if found and _same(before[found[0]], found[1], message):
                    plan.linked.append((message, *found))
                else:
                    plan.copied.append(message)

    def _mailbox(self, plan: Plan, progress: Progress) -> None:
        home = self._target(plan)
        for folder in {*plan.folders, *(m.folder for m in (*plan.copied, *plan.missed))}:
            (home / folder).mkdir(parents=True, exist_ok=True)
        counts = dict.fromkeys(map(_imap_name, plan.folders), 0)
        sizes = 0
        earlier = self.previous / MAIL / plan.name if self.previous and plan.linked else None
        with opened(home) as root, opened(earlier) as before, Folders(root) as into:
            linked = _link_all(plan, before, into, progress, self.compare)
            for folder, name, size, digest in chain(linked, self._copy_all(plan, into, progress)):
                self.result.index.append((f"mail/{plan.name}/{folder}/{name}", digest))
                counts[_imap_name(folder)] = counts.get(_imap_name(folder), 0) + 1
                sizes += size
        places = {folder.rpartition("/")[0] for folder in plan.folders}
        self._beside(plan, beside.copy_keywords(plan.home, home, places))
        domain, _, user = plan.name.partition("/")
        self.result.bytes += sizes
        self.result.mailboxes[f"{user}@{domain}"] = {
            "messages": sum(counts.values()),
            "bytes": sizes,
            "folders": counts,
        }

    def _copy_all(self, plan: Plan, into: Folders, progress: Progress) -> Iterator[tuple[str, str, int, str]]:
        """Copy what is new. A mail that is not where it was is looked for; in the end it was expunged."""
        todo = [(message, message) for message in (*plan.copied, *plan.missed)]
        with ThreadPoolExecutor(THREADS) as pool, Folders(plan.home) as live:
            for _ in range(ROUNDS):
                jobs = [(live[at.folder], at.name, into[m.folder], m.name) for m, at in todo]
                batches = [jobs[n : n + BATCH] for n in range(0, len(jobs), BATCH)]
                missing, number = [], 0
                for batch in pool.map(_copy_batch, batches):
                    for done in batch:
                        message = todo[number][0]
                        number += 1
                        if done is None:
                            missing.append(message)
                            continue
                        self.result.new += 1
                        self.result.new_bytes += done[1]
                        progress(1, done[1])
                        yield message.folder, message.name, done[1], done[0]
                if not missing:
                    return
                live.forget()
                places = plan.box.find()
                todo = [(m, places.get(m.inode, m)) for m in missing]

    def _target(self, plan: Plan) -> Path:
        return self.target / MAIL / plan.name

    def _beside(self, plan: Plan, copied: beside.Beside) -> None:
        prefix = f"mail/{plan.name}"
        self.result.small |= {f"{prefix}/{path}": done for path, done in copied.files.items()}
        self.result.links |= {f"{prefix}/{path}": target for path, target in copied.links.items()}


def copy_tree(source: Path, target: Path, previous: Path | None = None, compare: bool = False) -> Copied:
    """A snapshot's mail of the mailboxes below `source`, without Docker or a lock: for benchmarks."""
    target.mkdir(parents=True, exist_ok=True)
    with MailCopy(source, target, previous, compare) as mail:
        mail.plan()
        return mail.copy()


def index_digest(target: Path) -> str:
    """The checksum of mail.sha256, which stands in the manifest."""
    return file_digest(target / MAIL_INDEX)


def _link_all(
    plan: Plan, root: int | None, into: Folders, progress: Progress, compare: bool
) -> Iterator[tuple[str, str, int, str]]:
    """Link what the previous snapshot holds; what cannot be linked, or is damaged, is left to be copied."""
    with Folders(root) as before:
        for message, place, name, digest in plan.linked:
            folder, new_name = message.folder, message.name
            if compare and digest_of(before[place], name) != digest:
                plan.copied.append(message)
                continue
            try:
                os.link(
                    name, new_name, src_dir_fd=before[place], dst_dir_fd=into[folder], follow_symlinks=False
                )
            except OSError as error:
                if error.errno not in NO_LINK:
                    raise
                plan.copied.append(message)
                continue
            yield folder, new_name, message.size, digest
    progress(len(plan.linked), 0)


def _copy_batch(jobs: list[tuple[int | None, str, int, str]]) -> list[tuple[str, int] | None]:
    return [copy_file(*job) for job in jobs]


def _same(folder: int | None, name: str, message: Message) -> bool:
    if folder is None:
        return False
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    same = found.st_size == message.size and found.st_mtime_ns == message.mtime_ns
    return same and stat.S_ISREG(found.st_mode)


def _index_of(previous: Path) -> dict[str, Found]:
    """By mailbox and base name: folder, name and SHA-256 of each message of the previous snapshot."""
    boxes: dict[str, Found] = {}
    for path, digest in read_index(previous / MAIL_INDEX):
        folder, _, name = path.rpartition("/")
        if folder.endswith(("/cur", "/new")) and folder.count("/") >= 3:
            _, domain, user, rest = folder.split("/", 3)
            found = (sys.intern(rest), name, digest)
            boxes.setdefault(f"{domain}/{user}", {})[name.partition(":")[0]] = found
    return boxes


def _mailboxes(source: int) -> Iterator[str]:
    for domain in sorted(_folders(source)):
        with directory(source, domain) as fd:
            users = [] if fd is None else sorted(_folders(fd))
        yield from (f"{domain}/{user}" for user in users)


def _folders(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith(".")]


def _imap_name(folder: str) -> str:
    """mail/cur → INBOX, mail/.Lists.Debian/cur → Lists/Debian."""
    parts = folder.split("/")
    return parts[1].lstrip(".").replace(".", "/") if len(parts) == 3 else "INBOX"
