"""What the services' logs say of single mails: steps, each with what was decided.

Strangers write parts of these lines, so nothing here trusts their form: what is not understood has no steps.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailctl.core.log_lines import LogLine

SERVICES = ("mailserver-api", "postfix", "rspamd", "dovecot", "dovecot-store")
# What a step decides. LINK decides nothing: it only says which names belong to one mail.
RECEIVED, CHECKED, QUEUED, ACCEPTED, HELD = "received", "checked", "queued", "accepted", "held"
DELIVERED, SENT, DEFERRED, REFUSED, BOUNCED = "delivered", "sent", "deferred", "refused", "bounced"
DISCARDED, REMOVED, NOTED, LINK = "discarded", "removed", "noted", "link"
# Postfix's long queue ids have no vowels.
_ID = "[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}"
_POSTFIX = re.compile(rf"^postfix/(?P<part>[\w/-]+)\[\d+\]: (?P<id>NOQUEUE|{_ID}): (?P<said>.*)", re.DOTALL)
_TO = re.compile(
    r"^to=<(?P<to>[^>]*)>, (?:orig_to=<(?P<first>[^>]*)>, )?relay=(?P<relay>[^,\[]+).*?"
    r" status=(?P<status>\w+) \((?P<said>.*)\)$",
    re.DOTALL,
)
_FROM = re.compile(r"^from=<(?P<from>[^>]*)>, size=(?P<size>\d+), nrcpt=(?P<count>\d+) ")
_CLIENT = re.compile(r"^client=(?P<client>\S+?)\[[^\]]*\](?:.*sasl_username=(?P<user>[^\s,]+))?")
_REJECT = re.compile(
    r"^[\w-]*reject: .*? from \S+: (?P<said>.*?);"
    r"(?: from=<(?P<from>[^>]*)>)?(?: to=<(?P<to>[^>]*)>)? proto=",
    re.DOTALL,
)
_CONTAINER = re.compile(r"-(mailserver-api|roundcube)-\d+\.")
_RSPAMD = re.compile(
    r"rspamd_task_write_log: id: <(?P<mid>.*)>,\s+qid: <(?P<id>\w+)>,.*?"
    r"\(default: \w \((?P<action>[\w ]+)\): \[(?P<score>[-\d.]+)/(?P<limit>[-\d.]+)\] \[(?P<symbols>.*)\]\)",
    re.DOTALL,
)
_SYMBOL = re.compile(r"(\w+)\((-?\d+(?:\.\d+)?)\)")
_DOVECOT = re.compile(
    r"^lmtp\((?P<user>[^)]*)\)<\d+><(?P<session>[^>]+)>: (?P<level>\w+): (?P<said>.*)", re.DOTALL
)
_SIEVE = re.compile(r"^(?:sieve: )?msgid=(?P<mid><.*?>|\S+?): (?P<said>.*)", re.DOTALL)
_API_REFUSES = ("unknown-recipient", "too-large", "over-quota", "refused")
_ACTIONS = {"reject": REFUSED, "soft reject": DEFERRED, "greylist": DEFERRED}


@dataclass(frozen=True)
class Step:
    """Something that was decided about a mail; empty names are not known. `session` is one of dovecot's."""

    at: datetime
    service: str
    decided: str
    text: str
    queue_id: str = ""
    message_id: str = ""
    session: str = ""
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    symbols: tuple[tuple[str, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        symbols = {"symbols": dict(self.symbols)} if self.service == "rspamd" else {}
        what = {"service": self.service, "decided": self.decided, "text": self.text}
        return {"at": self.at.isoformat(), **what, "recipients": list(self.recipients), **symbols}


def steps(line: LogLine) -> Sequence[Step]:
    """What a line says of a mail; its steps belong together."""
    parser = _PARSERS.get(line.service)
    return parser(line) if parser else ()


def _api(line: LogLine) -> Sequence[Step]:
    """The call of the edge, and the answer to it."""
    try:
        said = json.loads(line.text)
        if said["event"] != "message":
            return ()
        names: dict[str, Any] = {
            "queue_id": str(said.get("queue_id") or ""),
            "message_id": _bare(str(said.get("message_id") or "")),
            "sender": None if said.get("from") is None else str(said["from"]),
            "recipients": (str(said["to"]),) if said.get("to") else (),
        }
        began = line.at - timedelta(seconds=float(said["seconds"]))
        verdict, status, detail = str(said["verdict"]), said["status"], said["detail"]
        ray, size = said.get("cf_ray"), said.get("size")
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return ()
    way = f"through Cloudflare (ray {ray})" if ray else "from this host, not through Cloudflare"
    came = f"{way}, {size} bytes" if size else way
    refused = DEFERRED if verdict not in _API_REFUSES else REFUSED
    decided = ACCEPTED if verdict == ACCEPTED else refused
    again = ", a repeat of a mail that was taken before" if said.get("duplicate") else ""
    answer = f"HTTP {status} {verdict}{again}: {detail}"
    return (
        Step(began, line.service, RECEIVED, came, **names),
        Step(line.at, line.service, decided, answer, **names),
    )


def _postfix(line: LogLine) -> Sequence[Step]:
    found = _POSTFIX.match(line.bare)
    if not found:
        return ()
    part, said = found["part"], found["said"]
    known: dict[str, Any] = {"queue_id": "" if found["id"] == "NOQUEUE" else found["id"]}
    for pattern, make in _POSTFIX_SAYS:
        if match := pattern.match(said):
            decided, text, names = make(match, part)
            return (Step(line.at, line.service, decided, text, **known, **names),)
    return (Step(line.at, line.service, NOTED, said, **known),) if known["queue_id"] else ()


_Made = tuple[str, str, dict[str, Any]]


def _to(said: re.Match[str], part: str) -> _Made:
    words = {"sent": DELIVERED if part.endswith("lmtp") else SENT, "deferred": DEFERRED}
    decided = words.get(said["status"], BOUNCED if said["status"] in ("bounced", "expired") else NOTED)
    recipients = tuple(filter(None, (said["to"], said["first"])))
    by = "" if said["relay"] == "none" else f" by {said['relay']}"
    return decided, f"{said['status']} to {said['to']}{by}: {said['said']}", {"recipients": recipients}


def _client(said: re.Match[str], part: str) -> _Made:
    inside = _CONTAINER.search(said["client"])
    user = f", logged in as {said['user']}" if said["user"] else ""
    return RECEIVED, f"takes it from {inside[1] if inside else said['client']}{user}", {}


def _from(said: re.Match[str], part: str) -> _Made:
    text = f"in the queue: {said['size']} bytes for {said['count']} recipients".replace(
        "for 1 recipients", "for 1 recipient"
    )
    return QUEUED, text, {"sender": said["from"]}


def _reject(said: re.Match[str], part: str) -> _Made:
    names = {"sender": said["from"], "recipients": (said["to"],) if said["to"] else ()}
    # The edge's calls say the same again, and more.
    names |= {"session": part}
    return DEFERRED if said["said"].startswith("4") else REFUSED, said["said"], names


_POSTFIX_SAYS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], _Made]], ...] = (
    (_TO, _to),
    (_FROM, _from),
    (_CLIENT, _client),
    (_REJECT, _reject),
    (
        re.compile(r"message-id=<?(?P<mid>.*?)>?$", re.DOTALL),
        lambda m, _: (LINK, "", {"message_id": m["mid"]}),
    ),
    (re.compile(r"uid=\d+ from=<(.*)>"), lambda m, _: (RECEIVED, "a program of this host wrote it", {})),
    (re.compile(r"from=<(.*)>, status=expired"), lambda m, _: (BOUNCED, m.string, {"sender": m[1]})),
    (
        re.compile(r"removed \(canceled\)"),
        lambda m, _: (NOTED, "the client gave up before the mail was complete", {}),
    ),
    (
        re.compile("removed"),
        lambda m, part: (
            (REMOVED, "deleted by hand", {}) if part == "postsuper" else (LINK, "left the queue", {})
        ),
    ),
    (re.compile(r"placed on hold"), lambda m, _: (HELD, "held by hand", {})),
    (re.compile(r"released from hold"), lambda m, _: (QUEUED, "released by hand", {})),
)


def _rspamd(line: LogLine) -> Sequence[Step]:
    found = _RSPAMD.search(line.text)
    if not found:
        return ()
    symbols = sorted(((n, float(s)) for n, s in _SYMBOL.findall(found["symbols"])), key=lambda s: -abs(s[1]))
    shown = ", ".join(f"{name} {score:g}" for name, score in symbols if score)
    text = f"{found['action']}, score {found['score']} of {found['limit']}: {shown or 'nothing remarkable'}"
    names: dict[str, Any] = {
        "queue_id": found["id"],
        "message_id": _bare(found["mid"]),
        "symbols": tuple(symbols),
    }
    return (Step(line.at, line.service, _ACTIONS.get(found["action"], CHECKED), text, **names),)


def _dovecot(line: LogLine) -> Sequence[Step]:
    found = _DOVECOT.match(line.bare)
    if not found:
        return ()
    sieve = _SIEVE.match(found["said"])
    said = sieve["said"] if sieve else found["said"]
    decided = NOTED
    if said.startswith(("stored mail", "saved mail")):
        decided = DELIVERED
    elif "discard" in said:
        decided = DISCARDED
    elif "bin/delivered" in said and "non-zero exit code 1" in said:
        decided = LINK  # it asks whether the mail is there already; the answer is no
    names: dict[str, Any] = {"message_id": _bare(sieve["mid"]) if sieve else "", "session": found["session"]}
    return (Step(line.at, line.service, decided, said, recipients=(found["user"],), **names),)


def _bare(message_id: str) -> str:
    return message_id.strip().removeprefix("<").removesuffix(">")


_PARSERS: dict[str, Callable[[LogLine], Sequence[Step]]] = {
    "mailserver-api": _api,
    "postfix": _postfix,
    "rspamd": _rspamd,
    "dovecot": _dovecot,
    "dovecot-store": _dovecot,
}
