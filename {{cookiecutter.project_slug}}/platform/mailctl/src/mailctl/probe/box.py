"""The probe's mailbox, which only doveadm opens."""

import json
import re
from dataclasses import dataclass

from mailctl.core.runtime import Runtime
from mailctl.probe.send import BOX

#: RFC 3464, with the lines that a long one is folded into.
_DIAGNOSIS = re.compile(
    r"^Diagnostic-Code:\s*(?:[\w-]+;\s*)?(.+(?:\r?\n[ \t].+)*)", re.MULTILINE | re.IGNORECASE
)


@dataclass(frozen=True)
class Mail:
    """A mail that lies there: its folder and header, and of a report the reason in it."""

    folder: str
    header: str
    reason: str = ""


def arrived(runtime: Runtime, token: str) -> Mail | None:
    """The probe with this token."""
    found = _fetch(runtime, "mailbox hdr", "header", "subject", token)
    return Mail(found[0]["mailbox"], found[0]["hdr"]) if found else None


def bounced(runtime: Runtime, token: str) -> Mail | None:
    """A report that the probe with this token could not be delivered: it quotes the probe's header."""
    found = _fetch(runtime, "mailbox hdr body", "body", token)
    if not found:
        return None
    reason = _DIAGNOSIS.search(found[0]["body"])
    return Mail(found[0]["mailbox"], found[0]["hdr"], " ".join(reason[1].split())[:300] if reason else "")


def clear(runtime: Runtime, keep: str = "") -> None:
    """Remove all mails, but what has the token `keep`."""
    query = ("not", "text", keep) if keep else ("all",)
    _doveadm(runtime, "expunge", "-u", BOX, "mailbox", "*", *query)


def _fetch(runtime: Runtime, fields: str, *query: str) -> list[dict[str, str]]:
    said = _doveadm(runtime, "-f", "json", "fetch", "-u", BOX, fields, "mailbox", "*", *query)
    found: list[dict[str, str]] = json.loads(said or "[]")
    return found


def _doveadm(runtime: Runtime, *words: str) -> str:
    return runtime.inside("dovecot", ("doveadm", *words))
