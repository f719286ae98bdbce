"""The sieve script for what somebody has chosen: automatic replies and forwards (RFC 5228, 5230, 5260)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from usermgmt.models import MailRules


def quoted(text: str) -> str:
    """A string of sieve: `\\` and `"` are the only characters that mean something in one.

    No extension that gives others a meaning (variables, encoded-character) is ever required here.
    """
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def script(rules: MailRules, address: str, aliases: Sequence[str]) -> str | None:
    """The script for the mailbox `address`, which is also reached through `aliases`; None if nothing is on.

    Pigeonhole answers no lists, bulk, automatic mail or null senders, and nobody who did not write to one of
    the addresses. A redirect that does not keep a copy ends the filters: the person's own script is not run.
    """
    lines: list[str] = []
    if rules.reply:
        lines += reply(rules, address, aliases)
    keep = ":copy " if rules.keep_copy else ""
    lines += [f"redirect {keep}{quoted(target)};" for target in rules.forward_to.split()]
    if not lines:
        return None
    return "\n".join(['require ["copy", "date", "relational", "vacation"];', *lines, ""])


def reply(rules: MailRules, address: str, aliases: Sequence[str]) -> Iterator[str]:
    """The reply, in its time. It comes from the mailbox's own address, whichever was written to."""
    tests = [
        f'currentdate :zone "+0000" :value "{relation}" "iso8601" "{at:%Y-%m-%dT%H:%M:%S}"'
        for relation, at in (("ge", rules.starts_at), ("lt", rules.ends_at))
        if isinstance(at, datetime)
    ]
    subject = f" :subject {quoted(rules.reply_subject)}" if rules.reply_subject else ""
    own = ", ".join(map(quoted, [address, *aliases]))
    yield f"if allof (true{''.join(', ' + test for test in tests)}) {{"
    yield f"  vacation :days {rules.reply_days}{subject}"
    yield f"    :from {quoted(address)} :addresses [{own}]"
    yield f"    {quoted(rules.reply_text)};"
    yield "}"
