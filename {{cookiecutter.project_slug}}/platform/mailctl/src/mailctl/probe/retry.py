"""Whether senders try again: one probe, deferred on purpose, looked for at each later probe."""

import time
from typing import Any

from mailctl.core import probe_record
from mailctl.core.context import Context
from mailctl.core.runtime import Runtime, as_json
from mailctl.probe import box
from mailctl.probe.judge import judge
from mailctl.probe.send import deferred, send

PENDING, TRIED, BOUNCED, UNKNOWN = "pending", "tried again", "bounced", "unknown"
#: After so many seconds nobody knows any more.
PATIENCE = 86400
# Inside mailserver-api: when it deferred a probe (its retry_probe.py), in epoch seconds.
DEFERRED_AT = ("python", "-m", "mailserver_api.recall", "key")


def state(context: Context) -> dict[str, Any] | None:
    """What is known: state, text, token, key, sent; None: none was ever sent."""
    return probe_record.read(context, probe_record.RETRY_FILE)


def begin(context: Context, runtime: Runtime) -> dict[str, Any]:
    """Send it; what is known now. Raises Refused."""
    one = deferred(context)
    send(runtime, one)
    key = "-".join(one.recipient.partition("+")[2].split("-")[:2])
    about = {"token": one.token, "key": key, "sent": one.sent, "domain": one.domain}
    return _keep(context, about, PENDING, "whether a deferred mail is tried again is not known yet")


def follow(context: Context, runtime: Runtime) -> dict[str, Any] | None:
    """Look for it, if it is still on its way. Raises Refused when a service does not answer."""
    known = state(context)
    if not known or known["state"] != PENDING:
        return known
    found = box.arrived(runtime, known["token"])
    if found:
        rows = as_json(runtime.inside("mailserver-api", (*DEFERRED_AT, known["key"])))
        if not rows:
            return _keep(
                context, known, UNKNOWN, "mailserver-api did not defer the mail: it knew no such mark"
            )
        lay = known["sent"] + judge(found.header, known["domain"], known["sent"]).seconds
        minutes = max(1, round((lay - float(rows[0][3])) / 60))
        return _keep(context, known, TRIED, f"the sender tried again after {minutes} min")
    if report := box.bounced(runtime, known["token"]):
        reason = f": {report.reason}" if report.reason else ""
        return _keep(context, known, BOUNCED, f"the sender bounced the deferred mail at once{reason}")
    if time.time() - known["sent"] > PATIENCE:
        return _keep(context, known, UNKNOWN, "unknown after a day: it neither came nor bounced")
    return known


def _keep(context: Context, known: dict[str, Any], word: str, text: str) -> dict[str, Any]:
    document = {**known, "state": word, "text": text}
    probe_record.write(context, document, probe_record.RETRY_FILE)
    return document
