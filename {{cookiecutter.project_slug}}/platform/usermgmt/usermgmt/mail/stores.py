"""The stores of several hosts, as the mover commands them: each a Dovecot of its own, `dovecot-SHARD`."""

from __future__ import annotations

import ssl
from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from usermgmt.mail.doveadm import Doveadm, Unreachable

#: Where a store takes what another one sends.
PORT = 24245
#: Seconds for a pass over a mailbox: 100 GB at a modest 10 MB/s.
PASS_SECONDS = 10_000
SHORT_SECONDS = 60
#: Seconds that a pass waits for another one over the same mailbox.
LOCK_SECONDS = 30
#: Of doveadm: the mailbox changed meanwhile, so that not everything is there.
CHANGED = 2
FIELDS = ["messages", "uidnext", "uidvalidity", "highestmodseq"]


class StoreFailed(Exception):
    """A store did not do what it was asked for, or may not have."""


@dataclass(frozen=True)
class Stores:
    """How to reach any of them: their key, and the authority that their certificates must be of."""

    key: str = field(repr=False)
    trusted: ssl.SSLContext = field(repr=False)

    def copy(self, address: str, source: str, target: str) -> None:
        """Make the target's mailbox what the source's is now. Raises StoreFailed."""
        self._pass("backup", address, source, target)

    def merge(self, address: str, source: str, target: str) -> bool:
        """Bring to the target what only the source has; whether that was all of it. Raises StoreFailed.

        A merge beside which mail arrives may copy a mail of the target's own: six of a hundred did.
        """
        before = self._held(address, source), self._held(address, target)
        whole = self._pass("sync", address, source, target, onewaySync=True, fullSync=True)
        after = self._held(address, target)
        for (mailbox, guid), numbers in after.items():
            # People may have one twice in a folder: as often as it was in either of them.
            most = max(1, *(len(held[mailbox, guid]) for held in before))
            if extra := sorted(numbers)[most:]:
                words = ["mailbox", mailbox, "uid", ",".join(map(str, extra))]
                self._ask(target, "expunge", {"user": address, "query": words}, SHORT_SECONDS)
        return whole

    def kick(self, address: str, shard: str) -> None:
        """End the sessions of somebody at a store. Raises StoreFailed."""
        self._ask(shard, "kick", {"mask": [address]}, SHORT_SECONDS)

    def state(self, address: str, shard: str) -> str:
        """A digest of what a store holds of somebody, which any change changes. Raises StoreFailed."""
        asked = {"user": address, "field": FIELDS, "mailboxMask": ["*"]}
        rows = self._ask(shard, "mailboxStatus", asked, SHORT_SECONDS)
        held = sorted(" ".join(str(row.get(name)) for name in ("mailbox", *FIELDS)) for row in rows)
        return sha256("\n".join(held).encode()).hexdigest()

    def empty(self, address: str, shard: str) -> None:
        """Remove somebody's mail, and the index of its words, from a store. Raises StoreFailed."""
        self._ask(shard, "expunge", {"user": address, "query": ["mailbox", "*", "all"]}, PASS_SECONDS)
        self._ask(shard, "ftsFlatcurveRemove", {"user": address, "mailboxMask": ["*"]}, PASS_SECONDS)

    def _held(self, address: str, shard: str) -> defaultdict[tuple[str, str], list[int]]:
        """The numbers of all mails, by folder and by what copies have in common. Raises StoreFailed."""
        asked = {"user": address, "field": ["mailbox", "guid", "uid"], "query": ["mailbox", "*", "all"]}
        found: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for row in self._ask(shard, "fetch", asked, PASS_SECONDS):
            found[str(row["mailbox"]), str(row["guid"])].append(int(row["uid"]))
        return found

    def _pass(self, command: str, address: str, source: str, target: str, **how: bool) -> bool:
        """One over the mailbox, run by the source's store; False: it changed meanwhile."""
        destination = [f"tcps:dovecot-{target}:{PORT}"]
        words = {"user": address, "lockTimeout": LOCK_SECONDS, "destination": destination, **how}
        try:
            self._ask(source, command, words, PASS_SECONDS)
        except _Answered as answer:
            if answer.code != CHANGED:
                raise
            return False
        return True

    def _ask(self, shard: str, command: str, words: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
        store = Doveadm(f"dovecot-{shard}", self.key, self.trusted)
        try:
            [[kind, said, _]] = store.ask([(command, words)], seconds)
        except Unreachable as error:
            raise StoreFailed(f"store {shard}: {command}: {error}") from error
        if kind != "doveadmResponse":
            raise _Answered(f"store {shard}: {command}: {said}", said.get("exitCode", 0))
        rows: list[dict[str, Any]] = said
        return rows


class _Answered(StoreFailed):
    """The store's own exit code."""

    def __init__(self, said: str, code: int) -> None:
        super().__init__(said)
        self.code = code
