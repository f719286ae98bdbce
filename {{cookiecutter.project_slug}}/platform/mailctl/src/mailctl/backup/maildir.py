"""Looks at a mailbox while mail is delivered, moved, flagged and expunged in it.

Reading a folder while files in it are renamed may show a file twice or not at all, and a mail that moves
between two folders may be met in both or in neither. A folder whose modification time is the same before and
after was not touched in between: folders are listed again until one look over all of them finds that. What
was listed is then what was there at one moment.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from threading import Event
from typing import NamedTuple

from mailctl.core.descriptors import directory

MAIL = "mail"
MESSAGES = ("cur", "new")
# How often the folders are listed before a mailbox counts as one that never rests.
ROUNDS = 30
# File systems write times with the kernel's tick, 10 ms at most: a younger time proves nothing.
TICK_NS = 25_000_000
# Within how many seconds Dovecot removes the first name of a mail that it moves.
MOVE_SECONDS = 5
_MISSING = -1


class Message(NamedTuple):
    """One mail: `folder` counts from the mailbox (mail/.Sent/cur); size in bytes; `names`: its link count."""

    folder: str
    name: str
    inode: int
    size: int
    mtime_ns: int
    names: int

    @property
    def base(self) -> str:
        """What stays when flags change."""
        return self.name.partition(":")[0]


class _Listed(NamedTuple):
    mtime_ns: int
    sure: bool
    messages: tuple[Message, ...]


class Mailbox:
    """One user's mail; `home` is a descriptor of its folder. Nothing is reached through a symbolic link."""

    def __init__(self, home: int) -> None:
        self.home = home
        self._listed: dict[str, _Listed] = {}
        # What earlier looks at folders that changed since have met, by what never changes about a mail.
        self._seen: dict[tuple[int, str], Message] = {}

    def folders(self) -> list[str]:
        """The folders that hold messages; one that is being deleted (..DOVECOT-TRASHED) no longer counts."""
        with directory(self.home, MAIL) as root:
            if root is None:
                return []
            names = [e.name for e in os.scandir(root) if e.is_dir(follow_symlinks=False)]
        nested = sorted(n for n in names if n.startswith(".") and not n.startswith(".."))
        return [f"{MAIL}/{part}" for part in MESSAGES] + [
            f"{MAIL}/{name}/{part}" for name in nested for part in MESSAGES
        ]

    @property
    def present(self) -> list[str]:
        """The folders that were there at the last look."""
        return [folder for folder, listed in self._listed.items() if listed.mtime_ns != _MISSING]

    def settle(self, rounds: int = ROUNDS) -> tuple[list[Message], list[Message]]:
        """All messages as of one moment, and an empty list.

        Where the mailbox never rests, the second list holds messages that were seen but not in the last look:
        moved or expunged, which only opening them will tell.
        """
        for _ in range(rounds):
            if not self.refresh():
                messages = [m for listed in self._listed.values() for m in listed.messages]
                return self._without_moves(messages), []
        kept, missed = self._in_motion()
        return self._without_moves(kept), missed

    def refresh(self) -> bool:
        """List again what changed; False when nothing has since the last call."""
        folders = self.folders()
        gone = self._listed.keys() - set(folders)
        for folder in gone:
            del self._listed[folder]
        stale = [folder for folder in folders if self._changed(folder)]
        if any(folder in self._listed and not self._listed[folder].sure for folder in stale):
            Event().wait(TICK_NS / 1e9)
        for folder in stale:
            self._list(folder)
        return bool(stale or gone)

    def find(self) -> dict[int, Message]:
        """Where each mail is now, by inode, after a look at what changed."""
        self.refresh()
        return {m.inode: m for listed in self._listed.values() for m in listed.messages}

    def _changed(self, folder: str) -> bool:
        listed = self._listed.get(folder)
        return listed is None or not listed.sure or self._mtime(folder) != listed.mtime_ns

    def _mtime(self, folder: str) -> int:
        with directory(self.home, folder) as fd:
            return _MISSING if fd is None else os.fstat(fd).st_mtime_ns

    def _list(self, folder: str) -> None:
        if before := self._listed.get(folder):
            self._seen.update(((m.inode, m.base), m) for m in before.messages)
        with directory(self.home, folder) as fd:
            if fd is None:
                self._listed[folder] = _Listed(_MISSING, True, ())
                return
            mtime = os.fstat(fd).st_mtime_ns
            sure = abs(time.time_ns() - mtime) > TICK_NS
            self._listed[folder] = _Listed(mtime, sure, tuple(self._messages(fd, folder)))

    def _messages(self, fd: int, folder: str) -> Iterator[Message]:
        with os.scandir(fd) as entries:
            for entry in entries:
                if not entry.is_file(follow_symlinks=False):
                    continue
                name, inode = entry.name, entry.inode()
                if self._seen and (known := self._seen.get((inode, name.partition(":")[0]))):
                    yield Message(folder, name, inode, *known[3:])
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # renamed this moment: the folder is listed again
                yield Message(folder, name, inode, found.st_size, found.st_mtime_ns, found.st_nlink)

    def _without_moves(self, messages: list[Message]) -> list[Message]:
        """Dovecot moves a mail by a second name and removes the first one a moment later: that is one mail.

        Names that are both still there after a while are copies that somebody made.
        """
        counted = Counter(m.inode for m in messages)
        if len(counted) == len(messages):
            return messages
        several: dict[int, list[Message]] = {}
        for message in (m for m in messages if counted[m.inode] > 1):
            several.setdefault(message.inode, []).append(message)
        gone: set[Message] = set()
        for _ in range(MOVE_SECONDS * 10):
            for inode, names in list(several.items()):
                left = [age for m in names if (age := self._age(m)) is not None]
                if len(left) < len(names):
                    kept = next((m for m in names if self._age(m) is not None), names[-1])
                    gone.update(m for m in names if m != kept and self._age(m) is None)
                if len(left) < len(names) or min(left) > MOVE_SECONDS:
                    del several[inode]
            if not several:
                break
            Event().wait(0.1)
        return [m for m in messages if m not in gone]

    def _age(self, message: Message) -> float | None:
        """Seconds since the file got or lost a name; None when it no longer has this one."""
        with directory(self.home, message.folder) as fd:
            try:
                found = os.stat(message.name, dir_fd=fd, follow_symlinks=False) if fd is not None else None
            except FileNotFoundError:
                return None
        return abs(time.time() - found.st_ctime) if found and found.st_ino == message.inode else None

    def _in_motion(self) -> tuple[list[Message], list[Message]]:
        """The last look, with a mail that was met in two places once, and those that it did not meet."""
        last = {(m.inode, m.base): m for listed in self._listed.values() for m in listed.messages}
        self._seen.update(last)
        counted: Counter[int] = Counter()
        kept = []
        for message in last.values():
            counted[message.inode] += 1
            # A copy made by IMAP is a second name of the same file. A mail that moves has one name.
            if counted[message.inode] == 1 or counted[message.inode] <= message.names:
                kept.append(message)
        places = {(m.folder, m.name) for m in kept}
        missed = {m.inode: m for m in self._seen.values() if not counted[m.inode]}
        return kept, [m for m in missed.values() if (m.folder, m.name) not in places]
