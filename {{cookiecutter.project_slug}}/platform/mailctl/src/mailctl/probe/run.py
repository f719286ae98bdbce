"""One probe from beginning to end: send, wait, judge, remove, remember."""

import threading
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mailctl.core import probe_record
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.lock import exclusive
from mailctl.core.mail_queue import waiting
from mailctl.core.runtime import Runtime
from mailctl.probe import box, retry
from mailctl.probe.judge import Judgement, judge
from mailctl.probe.send import Probe, plain, send

POLL_SECONDS = 1.0
OUT_FIX = "make queue; docs/runbooks/mail-does-not-go-out.md"
BACK_FIX = (
    "make trace ID={} says whether it came as far as this server; if not, look into the relay's activity, "
    "then into Cloudflare's under Email Routing; docs/runbooks/mail-does-not-arrive.md"
)


@dataclass(frozen=True)
class Result:
    """What came of it: `seconds` until it lay in the mailbox, or waited in vain; `fix` if not ok."""

    ok: bool
    seconds: float
    text: str
    fix: str = ""
    folder: str = ""
    judgement: Judgement = field(default_factory=Judgement)
    retry: dict[str, Any] | None = None

    def record(self) -> dict[str, Any]:
        """As the monitor reads it."""
        word, text = (self.retry["state"], self.retry["text"]) if self.retry else (None, "")
        about = {"ok": self.ok, "seconds": round(self.seconds, 1), "text": self.text, "fix": self.fix}
        return {"at": time.time(), **about, "retry": word, "retry_text": text}

    def as_dict(self) -> dict[str, Any]:
        found = self.judgement
        words: dict[str, Any] = {
            "dkim": found.dkim,
            "spf": found.spf,
            "dmarc": found.dmarc,
            "selector": found.selector,
        }
        hops = [asdict(hop) for hop in found.hops]
        return {**self.record(), **words, "folder": self.folder, "hops": hops}


def probe(context: Context, runtime: Runtime, limit: float, ask_retry: bool) -> Result:
    """Send one and wait `limit` seconds for it. Raises Refused when it cannot even be tried."""
    lock = probe_record.folder(context) / "probe.lock"
    with exclusive(lock, "probe", "mailctl probe", "trying the way out and back"):
        try:
            result = _whole(context, runtime, limit, ask_retry)
        except Refused as refusal:
            failed = Result(False, 0.0, str(refusal), refusal.problems[0].fix, retry=retry.state(context))
            probe_record.write(context, failed.record())
            raise
        probe_record.write(context, result.record())
        return result


def _whole(context: Context, runtime: Runtime, limit: float, ask_retry: bool) -> Result:
    known = retry.follow(context, runtime)
    keep = known["token"] if known and known["state"] == retry.PENDING else ""
    one = plain(context)
    box.clear(runtime, keep)
    _clear_queue(runtime, one.recipient)
    result = _sent_and_judged(runtime, one, limit)
    box.clear(runtime, keep)
    # The first that comes back is followed by the one that is deferred; later ones on request.
    if result.ok and (ask_retry or known is None):
        known = retry.begin(context, runtime)
    return replace(result, retry=known)


def _clear_queue(runtime: Runtime, recipient: str) -> None:
    """Probes that an outage has left in our own queue."""
    for mail in waiting(runtime):
        if mail.recipients == (recipient,):
            runtime.inside("postfix", ("postsuper", "-d", mail.id))


def _sent_and_judged(runtime: Runtime, one: Probe, limit: float) -> Result:
    began, pause = time.monotonic(), threading.Event()
    try:
        send(runtime, one)
    except Refused as refusal:
        fix = "make deploy if this server has no listener for it yet; make logs SERVICE=postfix"
        return Result(False, 0.0, f"Postfix did not take the probe: {refusal}", fix)
    while True:
        taken = time.monotonic() - began
        if found := box.arrived(runtime, one.token):
            return _judged(found, one)
        if report := box.bounced(runtime, one.token):
            reason = report.reason or "the report names no reason"
            return Result(False, taken, f"it bounced: {reason}", OUT_FIX)
        if taken > limit:
            return _lost(runtime, one, taken)
        pause.wait(POLL_SECONDS)


def _judged(found: box.Mail, one: Probe) -> Result:
    judgement = judge(found.header, one.domain, one.sent)
    came = f"it came back after {judgement.seconds} s"
    if problem := judgement.problem():
        ok, text, fix = False, f"{came}, and {problem[0]}", problem[1]
    else:
        ok, text, fix = (
            True,
            f"{came}: DKIM, DMARC pass, SPF {judgement.spf}, selector {judgement.selector}",
            "",
        )
    if found.folder != "INBOX":
        text += f"; our own filter put it into {found.folder}"
    return Result(ok, judgement.seconds, text, fix, found.folder, judgement)


def _lost(runtime: Runtime, one: Probe, taken: float) -> Result:
    """Where it was seen last."""
    late = f"it is not back after {taken:.0f} s"
    for mail in waiting(runtime):
        if one.recipient in mail.recipients and mail.arrived >= one.sent:
            reason = mail.reason or "no attempt has ended yet"
            return Result(False, taken, f"{late}, and waits in our own queue: {reason}", OUT_FIX)
    return Result(
        False,
        taken,
        f"{late}, and the relay has taken it: it was lost outside",
        BACK_FIX.format(one.recipient),
    )
