"""Puts the steps of a log together: which of them are about one and the same mail."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mailctl.core import mail_log
from mailctl.core.mail_log import Step

# What is said of a mail in the end; the later one counts.
ENDS = (
    mail_log.DELIVERED,
    mail_log.SENT,
    mail_log.DEFERRED,
    mail_log.REFUSED,
    mail_log.BOUNCED,
    mail_log.DISCARDED,
    mail_log.REMOVED,
    mail_log.HELD,
)


@dataclass(frozen=True)
class Way:
    """All steps of one mail, by time. `id` is Postfix's; the Message-ID where Postfix never had it."""

    id: str
    steps: tuple[Step, ...]

    @cached_property
    def message_id(self) -> str:
        return next((step.message_id for step in self.steps if step.message_id), "")

    @cached_property
    def sender(self) -> str | None:
        return next((step.sender for step in self.steps if step.sender is not None), None)

    @cached_property
    def recipients(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for step in self.steps for name in step.recipients))

    @cached_property
    def result(self) -> str:
        """What happened to it, for each recipient by the last word of whoever delivers it: `delivered`."""
        last: dict[str, str] = {}
        for step in self.steps:
            if step.service == "postfix" and step.decided in ENDS and step.recipients:
                last[step.recipients[0]] = step.decided
        if last and self._end not in (mail_log.REMOVED, mail_log.HELD):
            counts = Counter(last.values())
            return ", ".join(f"{word} {n}" if len(counts) > 1 else word for word, n in counts.items())
        return self._end

    @cached_property
    def _end(self) -> str:
        ends = [step.decided for step in self.steps if step.decided in ENDS]
        return ends[-1] if ends else (self.steps[-1].decided if self.steps else mail_log.NOTED)

    def as_dict(self) -> dict[str, Any]:
        told = [step.as_dict() for step in self.steps if step.decided != mail_log.LINK]
        names = {
            "id": self.id,
            "message_id": self.message_id,
            "from": self.sender,
            "to": list(self.recipients),
        }
        return {**names, "result": self.result, "steps": told}


class Ways:
    """The ways of all mails of a log; `groups` are the steps that belong together from the start."""

    def __init__(self, groups: Iterable[Sequence[Step]]) -> None:
        self._queue: dict[str, list[Step]] = defaultdict(list)
        self._by_message: dict[str, set[str]] = defaultdict(set)
        self._sessions: dict[str, str] = {}
        loose: list[Sequence[Step]] = []
        for group in groups:
            self._take(group, loose)
        self._loose: list[Sequence[Step]] = []
        for group in sorted(loose, key=lambda group: group[-1].at):
            if owner := self._owner(group[-1]):
                self._queue[owner] += group
            elif group[-1].decided != mail_log.LINK:
                self._loose.append(group)

    def _take(self, group: Sequence[Step], loose: list[Sequence[Step]]) -> None:
        for step in group[-1:]:
            if not step.queue_id:
                loose.append(group)
                continue
            self._queue[step.queue_id] += group
            if step.message_id:
                self._by_message[step.message_id].add(step.queue_id)
            # A delivery names dovecot's session among its words.
            for word in re.findall(r"[\w+/:]{16,}", step.text) if step.service == "postfix" else ():
                self._sessions.setdefault(word, step.queue_id)

    def _owner(self, step: Step) -> str:
        """The mail in the queue that a step without a queue id is about: the last that had begun by then.

        A try of the edge that Postfix never saw belongs to the next one that it did see.
        """
        known = self._by_message.get(step.message_id, set()) if step.message_id else set()
        if (named := self._sessions.get(step.session)) and (not step.message_id or named in known):
            return named
        begun = {id: min(one.at for one in self._queue[id]) for id in known if self._reaches(id, step)}
        before = [id for id, at in begun.items() if at <= step.at]
        if before:
            return max(before, key=lambda id: begun[id])
        return min(begun, key=lambda id: begun[id], default="")

    def _reaches(self, queue_id: str, step: Step) -> bool:
        """Whether the mail goes to a recipient of the step; no log may have named one yet."""
        names = {name for other in self._queue[queue_id] for name in other.recipients}
        return not names or not step.recipients or bool(names & {*step.recipients})

    def every(self) -> list[Way]:
        """The newest last."""
        ways = [_way(id, found) for id, found in self._queue.items()]
        for group in self._loose:
            # A refusal that the edge caused is told by mailserver-api as well, with more about it.
            if not group[-1].session.startswith("inbound/"):
                ways.append(_way(group[-1].message_id, group))
        return sorted(ways, key=lambda way: way.steps[0].at)

    def find(self, text: str) -> tuple[str, list[Way]]:
        """What `text` is (queue id, Message-ID or address), and the mails that it names, the newest last."""
        if found := self._queue.get(text):
            return "queue id", [_way(text, found)]
        bare, ways = text.strip().removeprefix("<").removesuffix(">"), self.every()
        if found_by_name := [way for way in ways if bare in {step.message_id for step in way.steps}]:
            return "Message-ID", found_by_name
        address = bare.lower()
        about = ({*map(str.lower, way.recipients), (way.sender or "").lower()} for way in ways)
        return "address", [
            way for way, names in zip(ways, about, strict=True) if address and address in names
        ]


def _way(id: str, found: Sequence[Step]) -> Way:
    return Way(id, tuple(sorted(found, key=lambda step: step.at)))
