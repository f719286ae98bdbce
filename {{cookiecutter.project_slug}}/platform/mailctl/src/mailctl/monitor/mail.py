"""The conditions of mail: what waits, why, what was given up, and what rspamd says of its helpers."""

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mailctl.core.format import duration, plain
from mailctl.core.mail_queue import DEFERRED, HELD
from mailctl.monitor.facts import Facts, Finding

if TYPE_CHECKING:
    from mailctl.core.log_lines import LogLine
    from mailctl.core.mail_queue import Waiting

# The first that fits a mail's reason says what it waits for.
REASONS = (
    # Postfix: "SASL authentication failed; server … said: 535 …"; RFC 4954: 530 from who wants a log-in.
    (
        "login",
        re.compile(r"SASL authentication|no mechanism available|said: 53[05][ -]|Authentication required"),
    ),
    # A mailbox that is full is for its owner to empty.
    ("full", re.compile(r"[45]\.2\.2|[Qq]uota")),
    ("delivery", re.compile(r"dovecot|Temporary lookup failure|mail system configuration error")),
    (
        "relay",
        re.compile(
            r"connect to|[Hh]ost or domain name|Host not found|lost connection|timed out|TLS|ertificate"
        ),
    ),
)
# So many mails wait for the same, or one still waits although Postfix has tried again (from 5 minutes on).
MANY, LONG_SECONDS = 3, 660
# Receivers put off single mails: that is no outage.
MANY_OTHERS = 10
OLD_SECONDS, LARGE = 3600, 200
BATCH_SECONDS, LISTED = 600, 20
# rspamd's answer to who reached config/rspamd/local.d/ratelimit.conf, as Postfix notes it. The envelope's
# sender is who logged in, or an alias of theirs: Postfix checks that.
OVER_LIMIT = re.compile(r'milter-reject: .*Ratelimit "per_user" exceeded.* from=<([^>]*)>')
OVER_SECONDS = 3600
# usermgmt is told every five minutes; what it said before says nothing about now.
SAID_SECONDS = 900
NO_VERDICT = "no verdict of the virus scanner"
# A list that refuses: as rspamd's own check of it says, https://github.com/Mailu/Mailu/issues/554, and as the
# symbol of a mail, https://github.com/rspamd/rspamd/blob/master/conf/scores.d/rbl_group.conf
REFUSED_LIST = re.compile(r"DNS query blocked on (\S+)|\b(\w*_BLOCKED(?:_OPENRESOLVER)?)\(")


def relay_login(facts: Facts) -> Iterator[Finding]:
    if refused := _waiting(facts).get("login"):
        yield Finding(f"{_mails(refused, facts.now)}: {_reason(refused)}")


def deferred(facts: Facts) -> Iterator[Finding]:
    for what, mails in _waiting(facts).items():
        late = facts.now - mails[0].arrived > LONG_SECONDS
        if what in ("delivery", "relay") and (late or len(mails) >= MANY):
            yield Finding(f"{_mails(mails, facts.now)}: {_reason(mails)}", what)
        elif what == "other" and len(mails) >= MANY_OTHERS:
            yield Finding(f"{_mails(mails, facts.now)}, for instance: {_reason(mails)}", what)


def queue_age(facts: Facts) -> Iterator[Finding]:
    old = [
        one
        for one in facts.postfix.queue
        if one.queue != HELD and _waits_for(one) != "full" and facts.now - one.arrived > OLD_SECONDS
    ]
    if old:
        yield Finding(f"{_mails(old, facts.now)}: {_reason(old)}")


def queue_size(facts: Facts) -> Iterator[Finding]:
    mails = [one for one in facts.postfix.queue if one.queue != HELD]
    if len(mails) > LARGE:
        yield Finding(_mails(mails, facts.now))


def database(facts: Facts) -> Iterator[Finding]:
    if said := facts.postfix.lookup:
        yield Finding(f"Postfix cannot ask it for the domains: {plain(said)[:300]}")


def resolver(facts: Facts) -> Iterator[Finding]:
    if not facts.postfix.resolves:
        yield Finding(f"the relay's name {facts.postfix.relay} cannot be resolved in Postfix's container")


def undeliverable(facts: Facts) -> Iterator[Finding]:
    """Each mail that Postfix gave up: at once, or together with the others of ten minutes."""
    kept = facts.memory.setdefault("given_up", {"waiting": [], "batches": []})
    kept["waiting"] += given_up(facts)
    kept["batches"] = [one for one in kept["batches"] if facts.now - one["at"] < BATCH_SECONDS]
    if kept["waiting"] and not kept["batches"]:
        more = len(kept["waiting"]) - LISTED
        shown = [*kept["waiting"][:LISTED], *([f"and {more} more; make trace ID=…"] if more > 0 else [])]
        kept["batches"] = [{"at": facts.now, "text": "; ".join(shown)}]
        kept["waiting"] = []
    for batch in kept["batches"]:
        yield Finding(batch["text"], f"{batch['at']:.0f}")


def given_up(facts: Facts) -> list[str]:
    """What became of each mail that Postfix gave up since the last run: sender, recipient, reason."""
    from mailctl.core import mail_log

    lines = [line for line in facts.lines if line.service == "postfix"]
    bounced = [step for line in lines for step in mail_log.steps(line) if step.decided == mail_log.BOUNCED]
    if not bounced:
        return []
    # The sender, and the recipients of a mail that expired, are in lines before.
    before = facts.log(("postfix",), min(step.at.timestamp() for step in bounced) - LONG_SECONDS)
    return [text for step in bounced for text in _fate(step.queue_id, step.recipients, step.text, before)]


def _fate(id: str, recipients: tuple[str, ...], text: str, lines: "Iterable[LogLine]") -> Iterator[str]:
    from mailctl.core import mail_log

    steps = [step for line in lines if id in line.text for step in mail_log.steps(line)]
    sender = next((step.sender for step in steps if step.sender is not None), None)
    name = {"": "the mail system itself", None: "an unknown sender"}.get(sender, f"{sender}")
    reasons = {recipients[0]: text} if recipients else {}
    if not recipients:
        late = [step for step in steps if step.decided == mail_log.DEFERRED and step.recipients]
        reasons = {step.recipients[0]: f"expired; {step.text}" for step in late} or {"unknown": text}
    for to, reason in reasons.items():
        yield plain(f"{id} from {name} to {to}: {reason}")[:500]


def scanner(facts: Facts) -> Iterator[Finding]:
    new = sum(NO_VERDICT in line.text for line in facts.lines if line.service == "rspamd")
    if (count := facts.counted("scanner", new, 600)) >= 2:
        yield Finding(f"rspamd got no verdict for {count} mails within ten minutes: they are deferred")


def sending_limit(facts: Facts) -> Iterator[Finding]:
    """Whoever met the limit within the last hour: each an alarm of its own."""
    kept: dict[str, float] = facts.memory.setdefault("over_limit", {})
    for line in facts.lines:
        if line.service == "postfix" and (found := OVER_LIMIT.search(line.text)):
            kept[plain(found[1])[:254]] = facts.now
    for sender in [one for one, at in kept.items() if at <= facts.now - OVER_SECONDS]:
        del kept[sender]
    for sender in list(kept)[:LISTED]:
        yield Finding(f"{sender} reached the limit of what a mailbox may send; more is deferred", sender)


def guessing(facts: Facts) -> Iterator[Finding]:
    """What usermgmt said of failed log-ins when it was last told of this server (handover.py)."""
    said = facts.memory.get("attacks") or {"at": 0, "found": []}
    if facts.now - said["at"] > SAID_SECONDS:
        return
    for one in said["found"][:LISTED]:
        address, attempts, networks = plain(one["address"])[:254], int(one["attempts"]), int(one["networks"])
        text = f"{address}: {attempts} wrong passwords from {networks} networks within an hour"
        yield Finding(f"{text}; they are held back, and the owner still gets in", address)


def lists(facts: Facts) -> Iterator[Finding]:
    said = [
        match
        for line in facts.lines
        if line.service == "rspamd"
        for match in REFUSED_LIST.finditer(line.text)
    ]
    if said:
        facts.memory["list"] = next(filter(None, said[-1].groups()))
    if (count := facts.counted("lists", len(said), 3600)) >= 3:
        yield Finding(
            f"{count} answers within an hour were refusals, the last of {facts.memory.get('list', '')}"
        )


def _waits_for(mail: "Waiting") -> str:
    return next((name for name, pattern in REASONS if pattern.search(mail.reason)), "other")


def _waiting(facts: Facts) -> "dict[str, list[Waiting]]":
    """The deferred mails by what they wait for, the oldest first."""
    found: dict[str, list[Waiting]] = {}
    for mail in facts.postfix.queue:
        if mail.queue == DEFERRED:
            found.setdefault(_waits_for(mail), []).append(mail)
    return found


def _mails(mails: "list[Waiting]", now: float) -> str:
    count = "1 mail waits" if len(mails) == 1 else f"{len(mails)} mails wait"
    return f"{count}, the oldest for {duration(now - mails[0].arrived)}"


def _reason(mails: "list[Waiting]") -> str:
    return plain(mails[-1].reason)[:300] or "Postfix names no reason"
