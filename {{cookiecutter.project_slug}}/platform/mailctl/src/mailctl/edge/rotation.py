"""A new DKIM key: made, published, seen in DNS, used, and the old one retired once no mail with it travels.

Where it stands is written down after every step, and every step may be repeated: the next run goes on where
one was killed.
"""

import itertools
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

from mailctl.core.errors import Problem, Refused
from mailctl.edge import records
from mailctl.edge.cloud import DNS, explained
from mailctl.edge.dns_view import View
from mailctl.edge.host import SELECTOR, Dkim, Key
from mailctl.edge.session import Session
from mailctl.secret_files.store import opened

STATE_FILE, STATE_MODE = "dkim_rotation.json", 0o600
# Postfix gives up on a mail after five days; the receiver may check it a little later.
KEEP = timedelta(days=7)
POLL_SECONDS = 2.0
BEGUN, MADE, PUBLISHED, SEEN, USED, DONE = "begun", "made", "published", "seen", "used", "done"


@dataclass
class State:
    """`since` is when the step was reached, as ISO 8601 in UTC."""

    domain: str
    old: str
    new: str
    step: str = BEGUN
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def retire_at(self) -> datetime:
        return datetime.fromisoformat(self.since) + KEEP


class Rotation:
    """One rotation of a domain's key, begun or gone on with."""

    def __init__(
        self, session: Session, dkim: Dkim, resolver: str | None, say: Callable[[str], None]
    ) -> None:
        self.session, self.dkim, self.resolver, self.say = session, dkim, resolver, say
        self.state = self._begin()

    def _begin(self) -> State:
        """The rotation under way, or a new one. Only one run at a time can begin.

        One whose new key got a name that somebody else has since, or had, could never end: it is given up.
        """
        folder = self.session.secrets.path
        if folder is None:
            raise Refused(
                Problem("secrets folder", "there is none here", "run it on the host, after make setup")
            )
        with opened(folder, create=False) as store, store.locked():
            state = load(store.read(STATE_FILE), self.dkim.domain)
            if state and state.step in (BEGUN, MADE, PUBLISHED) and self._taken(state.new):
                self._remove(state.new)
                self.say(f"given up: {state.new}, whose name in DNS somebody else has")
                state = None
            if state is None:
                state = self._new()
                store.write(STATE_FILE, dump(state), STATE_MODE)
        return state

    def run(self, wait: float) -> State:
        """Go as far as possible now. Raises Refused where it has to stop; `wait` is for DNS, in seconds."""
        steps = {BEGUN: self._make, MADE: self._publish, PUBLISHED: lambda: self._see(wait), SEEN: self._use}
        while self.state.step in steps:
            steps[self.state.step]()
        if self.state.step == USED and (datetime.now(UTC) >= self.state.retire_at or self._hidden()):
            self._remove(self.state.old)
            self._reached(DONE, f"retired: {self.state.old}, its record and its key are gone")
        return self.state

    def _new(self) -> State:
        """From the key that signs to one with the next selector of ours at whose name nobody has a record."""
        domain, keys = self.dkim.domain, self.dkim.keys
        signing = next((key.selector for key in keys if key.signs), None)
        if signing is None:
            wrong = f"rspamd has no key that signs for {domain}"
            raise Refused(Problem("DKIM", wrong, "docker compose restart rspamd makes one"))
        ours = [int(match[1]) for key in keys if (match := re.fullmatch(rf"{SELECTOR}(\d+)", key.selector))]
        following = (f"{SELECTOR}{number}" for number in itertools.count(max(ours, default=0) + 1))
        return State(domain, signing, next(name for name in following if not self._taken(name)))

    def _taken(self, selector: str) -> bool:
        """Whether somebody else has a record at the name of that key."""
        return any(not records.mine(self.session, record) for record in self._at(selector))

    def _hidden(self) -> bool:
        """Whether a CNAME hides the old key's record, so that no mail on its way verifies with it."""
        return any(records.alias(self.session, record) for record in self._at(self.state.old))

    def _at(self, selector: str) -> list[records.Record]:
        name = _name(selector, self.dkim.domain)
        return [record for record in records.live(self.session) if record.name == name]

    def _reached(self, step: str, text: str) -> None:
        state = State(self.state.domain, self.state.old, self.state.new, step)
        assert self.session.secrets.path is not None  # noqa: S101 (_begin has refused that)
        with opened(self.session.secrets.path, create=False) as store, store.locked():
            store.write(STATE_FILE, dump(state), STATE_MODE)
        self.state = state
        self.say(text)

    def _make(self) -> None:
        self.dkim.run("make", self.state.domain, self.state.new)
        self._reached(MADE, f"made: a key with the selector {self.state.new}")

    def _publish(self) -> None:
        want = self._record(self.state.new)
        there = [record for record in self._at(self.state.new) if record.slot == want.slot]
        if not any(record.same(want) for record in there) or len(there) > 1:
            with explained(f"publishing {want.name}", DNS):
                records.put(self.session, want, there)
        self._reached(PUBLISHED, f"published: {want.name}")

    def _see(self, wait: float) -> None:
        """Every name server of the zone, and this host's resolver, must answer with the new record."""
        want, end, pause = self._record(self.state.new), time.monotonic() + wait, threading.Event()
        while missing := [
            view.name for view in self._views() if view.look(want.name, "TXT") != [want.content]
        ]:
            if time.monotonic() > end:
                wrong = f"is not seen by {', '.join(missing)} yet; {self.state.old} goes on signing"
                fix = "wait some minutes, then run the same command again: it goes on from here"
                raise Refused(Problem("DNS", wrong, fix, value=want.name, next="make dkim-rotate"))
            pause.wait(POLL_SECONDS)
        self._reached(SEEN, f"seen: DNS answers {want.name}")

    def _views(self) -> list[View]:
        own = View(self.resolver)
        return [own] if self.resolver else [*own.authorities(self.session.zone), own]

    def _use(self) -> None:
        self.dkim.run("use", self.state.domain, self.state.new)
        self._reached(USED, f"used: {self.state.new} signs from now on")

    def _remove(self, selector: str) -> None:
        """The record first: while it is gone and the key is there, this step is simply done again."""
        for record in self._at(selector):
            if records.mine(self.session, record):
                with explained(f"removing {record.name}", DNS):
                    records.remove(self.session, record.id)
        self.dkim.run("remove", self.dkim.domain, selector)

    def _record(self, selector: str) -> records.Record:
        key = find(self.dkim, selector)
        return records.Record("TXT", _name(selector, self.state.domain), key.record)


def find(dkim: Dkim, selector: str) -> Key:
    """The key with that selector. Raises Refused when it is lost: a new rotation makes another one."""
    dkim.forget()
    key = next((key for key in dkim.keys if key.selector == selector), None)
    if key is None:
        wrong = "the key of the rotation that is under way is gone"
        raise Refused(Problem("DKIM", wrong, f"remove secrets/{STATE_FILE} and begin again", value=selector))
    return key


def load(content: bytes | None, domain: str) -> State | None:
    """The rotation under way; None when there is none, or when the last one is done."""
    if not content:
        return None
    try:
        state = State(**json.loads(content))
    except (ValueError, TypeError):
        wrong = "cannot be read; which step was reached is not known"
        fix = "make dkim-status shows the keys; remove the file to begin again"
        raise Refused(Problem(f"secrets/{STATE_FILE}", wrong, fix)) from None
    return state if state.domain == domain and state.step != DONE else None


def dump(state: State) -> bytes:
    return (json.dumps(asdict(state), indent=2) + "\n").encode()


def _name(selector: str, domain: str) -> str:
    return f"{selector}._domainkey.{domain}"
