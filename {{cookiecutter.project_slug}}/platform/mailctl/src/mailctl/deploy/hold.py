"""Mail waits while a version is tried: from before a container is touched until the canaries are green.

Everything is in the journal before it happens, and each step may be done again: wherever it is killed, `off`
releases what was held here, and nothing else. Nothing ends by time: mail that nobody releases waits, and the
monitor says so.
"""

import re
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mailctl.core import hold
from mailctl.core.errors import Refused
from mailctl.core.runtime import Service
from mailctl.deploy.host import Host
from mailctl.deploy.records import Journal

MAIL, STORE = "postfix", "dovecot"
# What cannot change how mail goes: it is neither on its way, nor does it judge it, nor store it.
HARMLESS = frozenset(("nginx", "roundcube", "usermgmt", "cloudflared"))
# What an engine or a program does not do that was asked to.
UNDONE = (Refused, OSError)
AT_ONCE = 500
LISTED = ["find", "/var/spool/postfix/hold", "-type", "f", "-printf", "%f\\n"]
HOLD_ALL = ["postsuper", "-h", "ALL"]
# Of our image: reads the table again. An older image does not have it, and what runs there holds nothing.
RELOAD, RELOAD_IF_THERE = ["hold"], ["sh", "-c", "! command -v hold >/dev/null || hold"]
# Where and how Dovecot keeps mail: settings in whatever block, and the blocks that decide for a person.
STORES = re.compile(r"mail_(?!plugins|max_)|namespace\b|userdb\b|mailbox|dovecot_storage|[ms]?dbox|maildir")


def needed(
    planned: Mapping[str, str],
    gone: Iterable[str],
    migrates: bool,
    closed: bool,
    left: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """What is to be held for, or None; `left`: what an earlier deployment left on hold."""
    why = {name: reason for name, reason in planned.items() if name not in HARMLESS}
    why |= {name: "is removed" for name in gone if name not in HARMLESS}
    if migrates:
        why |= {"usermgmt": "migrates the accounts' tables"}
    if left:
        services = sorted({*left["services"], *why})
        return {**left, "services": services, "closed": left["closed"] or closed}
    if not why:
        return None
    return {
        "word": secrets.token_urlsafe(24),
        "since": None,
        "seconds": None,
        "services": list(why),
        "why": "; ".join(f"{name}: {reason}" for name, reason in why.items()),
        "closed": closed,
        #: What an operator had put on hold before, which stays there; None: not looked yet.
        "before": None,
    }


def on(host: Host, journal: Journal) -> None:
    """Hold mail, if this deployment must. What cannot be frozen while it runs is stopped."""
    held = journal.hold
    if held is None:
        return
    if held["since"] is None or held["seconds"] is not None:
        # Tried once more after it was released: it was killed before that was in the history.
        held |= {"since": held["since"] or time.time(), "seconds": None}
        host.records.write(journal)
        host.say(f"mail waits while this is tried: {', '.join(held['services'])}")
    hold.shut(host.context, held["word"], held["since"], held["closed"])
    try:
        _freeze(host, journal, held)
    except UNDONE as error:
        # It must not keep a commit away that repairs just this.
        host.say(f"the queue cannot be frozen: {error}")
        held["why"] += "; the queue was not frozen"
        host.records.write(journal)


def _freeze(host: Host, journal: Journal, held: dict[str, Any]) -> None:
    if held["before"] is None:
        held["before"] = _ask(host, LISTED).split()
        host.records.write(journal)
    hold.freeze(host.context)
    try:
        # An older version does not know the table: what it takes from now on it would deliver.
        if _runs(host):
            host.runtime.inside(MAIL, RELOAD, limit=120)
    except UNDONE as error:
        host.say(f"{MAIL} cannot keep mail back while it runs, and is stopped ({error})")
        journal.planned.setdefault(MAIL, "was stopped, to keep mail back")
        journal.away.pop(MAIL, None)
        if MAIL not in journal.touched:
            journal.touched.append(MAIL)
        host.records.write(journal)
        host.runtime.remove(MAIL)
    _ask(host, HOLD_ALL)


def off(host: Host, journal: Journal) -> None:
    """Release what was held here, and take everybody's mail again. Done once more, it does nothing."""
    held = journal.hold
    if held is None or held["since"] is None or held["seconds"] is not None:
        return
    try:
        hold.thaw(host.context)
        if held["closed"]:
            host.runtime.inside(STORE, ["doveadm", "reload"])
        host.runtime.inside(MAIL, RELOAD_IF_THERE, limit=120)
        ours = [id for id in _ask(host, LISTED).split() if id not in (held["before"] or [])]
        for begin in range(0, len(ours), AT_ONCE):
            _ask(host, ["postsuper", *(word for id in ours[begin : begin + AT_ONCE] for word in ("-H", id))])
        hold.admit(host.context)
    except UNDONE as error:
        journal.reason = f"{journal.reason}; mail is still held: {error}".removeprefix("; ")
        return
    held["seconds"] = round(time.time() - held["since"], 1)
    host.records.write(journal)
    host.say(f"mail was held for {held['seconds']:.0f} s")


def told(journal: Journal) -> dict[str, Any] | None:
    """What the result says of it."""
    held = journal.hold
    if held is None or held["since"] is None:
        return None
    seconds = held["seconds"] if held["seconds"] is not None else round(time.time() - held["since"], 1)
    return {"seconds": seconds, "services": held["services"], "why": held["why"]}


def moves_mail(repo: Path, stage: Path, live: Mapping[str, Service], services: Mapping[str, Service]) -> bool:
    """Whether Dovecot would look for mail elsewhere, or in another form, than it does now."""
    if STORE not in live or STORE not in services:
        return False
    return stores(repo) != stores(stage) or _mounts(live[STORE]) != _mounts(services[STORE])


def stores(tree: Path, folder: str = STORE) -> list[str]:
    """Where and how mail is kept, as the configuration of a tree says."""
    found: list[str] = []
    for file in sorted((tree / "config" / folder).rglob("*.conf")):
        blocks: list[str] = []
        for line in file.read_text("utf-8").replace("\\\n", " ").splitlines():
            text = " ".join(line.partition("#")[0].split())
            if text == "}":
                blocks = blocks[:-1]
            elif text.endswith("{"):
                blocks.append(text)
            elif text and any(STORES.match(part) for part in (*blocks, text)):
                found.append(" ".join((*blocks, text)))
    return found


def _mounts(service: Service) -> dict[str, Any]:
    return {
        target: one for target, one in service.around["volumes"].items() if not target.startswith("/run/")
    }


def _runs(host: Host) -> bool:
    found = host.runtime.running().get(MAIL)
    return found is not None and found.status == "running"


def _ask(host: Host, words: list[str]) -> str:
    """Run a program of Postfix on its queue, whether it runs or not."""
    if _runs(host):
        return host.runtime.inside(MAIL, words)
    return host.runtime.job(host.tree.repo, MAIL, words, ())
