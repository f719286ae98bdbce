"""Runs the canaries, after what they are compared with was remembered."""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mailctl.canaries import accounts, mails, maps, people
from mailctl.canaries.table import NAMES, Canary
from mailctl.core import hold
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Runtime, as_json

# For so long a canary is tried again, in seconds, unless CANARY_SECONDS says otherwise: nginx asks again for
# a service's address after ten, and a small host starts slowly.
LIMIT, LEAST, MOST = 60.0, 15.0, 600.0
# Read now: a deployment may exchange the file while it runs.
SCRIPT = Path(__file__).with_name("inside.py").read_text("utf-8")
SIGN_TOOL, SELECTORS = "/etc/rspamd/bin/sign", "/var/lib/rspamd/dkim/selectors.map"
PAST = ("known", "people")


def run(
    context: Context,
    names: Sequence[str] | None = None,
    progress: Callable[[Canary], None] | None = None,
    runtime: Runtime | None = None,
    limit: float | None = None,
    past: dict[str, Any] | None = None,
) -> list[Canary]:
    """Try the named canaries, or all that this server has, and compare with what `remember` gave.

    Each is tried for `limit` seconds, or for `patience`. What fails is part of the result, never raised.
    When a map answers wrongly, nothing else is sent.
    """
    limit = limit or patience(context)
    if runtime is None:
        from mailctl.core.engine import connected
        from mailctl.core.runtime import Runtime

        with connected() as engine:
            return run(context, names, progress, Runtime(context, engine), limit, past)
    chosen = list(names or NAMES)
    try:
        services = runtime.running()
        chosen = [name for name in chosen if name != "virus" or "clamav" in services]
        found = _tried(context, runtime, chosen, limit, past or {})
    except Refused as refusal:
        found = [Canary(name, False, 0.0, str(refusal)[:300]) for name in chosen]
    for canary in found:
        if progress:
            progress(canary)
    return found


def patience(context: Context) -> float:
    """CANARY_SECONDS of .env; what is no number from 15 to 600 is taken as the nearest, or as the default."""
    try:
        chosen = float(context.setting("CANARY_SECONDS", str(LIMIT)))
    except ValueError:
        return LIMIT
    return min(max(chosen, LEAST), MOST) if chosen == chosen else LIMIT


def remember(context: Context, runtime: Runtime) -> dict[str, Any]:
    """What the canaries compare with afterwards; their accounts are made where missing. Raises nothing.

    A plain document, kept in the journal. When there is nothing to remember, `missing` says why.
    """
    try:
        account = accounts.ensure(context, runtime)
        document = accounts.wanted(account) | {"limit": 20.0, "past": None}
        known = _inside(runtime, document, ["known"], 20.0)["known"]
        if not known["ok"]:
            raise Refused(Problem("known mail", known["detail"], "make logs"))
        return {"known": json.loads(known["detail"]), "people": people.sample(runtime)}
    except Refused as refusal:
        return {"missing": str(refusal)}


def _tried(
    context: Context, runtime: Runtime, names: list[str], limit: float, past: dict[str, Any]
) -> list[Canary]:
    account = accounts.kept(context) if "known" in past else accounts.ensure(context, runtime)
    wanted = accounts.wanted(account) | {"limit": limit}
    results: dict[str, Any] = {}
    if "maps" in names:
        results["maps"] = maps.ask(runtime, wanted, limit)
        if not results["maps"]["ok"]:
            return [Canary("maps", **results["maps"])]
    if "known" not in past:
        left_out = f"left out: {past.get('missing') or 'nothing was remembered'}"[:300]
        results |= {name: {"ok": True, "seconds": 0.0, "detail": left_out} for name in PAST}
    wanted |= _more(context, runtime, wanted, names) | {"past": past.get("known")}
    with ThreadPoolExecutor(1) as pool:
        if "people" in names and "people" not in results:
            compared = pool.submit(_people, runtime, past["people"])
        results |= _inside(runtime, wanted, [n for n in names if n not in (*results, "people")], limit)
        if "people" in names and "people" not in results:
            results["people"] = compared.result()
    return [Canary(name, **results[name]) for name in names]


def _people(runtime: Runtime, past: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    try:
        ok, detail = True, people.compare(runtime, past)
    except Refused as refusal:
        ok, detail = False, refusal.problems[0].wrong
    return {"ok": ok, "seconds": round(time.monotonic() - began, 2), "detail": detail[:300]}


def _inside(runtime: Runtime, wanted: dict[str, Any], names: list[str], limit: float) -> dict[str, Any]:
    document = json.dumps({**wanted, "names": names})
    said = runtime.inside("mailserver-api", ("python", "-c", SCRIPT), stdin=document, limit=limit + 90)
    found: dict[str, Any] = as_json(said)
    return found


def _more(context: Context, runtime: Runtime, wanted: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """The mails and hosts that the canaries ask for, and what rspamd says beforehand."""
    sent, domain = mails.all_of(wanted), wanted["address"].partition("@")[2]
    found: dict[str, Any] = {"mails": sent, "pass": hold.word(context), "domain": domain}
    if "mail" in names:
        signature = _judged(runtime, wanted["address"], sent["mail"]["raw"]).get("dkim-signature")
        sent["mail"]["raw"] = f"DKIM-Signature: {signature}\r\n{sent['mail']['raw']}"
        found["unsigned"] = "" if signature else f"rspamd does not sign for {domain}: make dkim-status"
    if "signed" in names:
        rows = [line.split() for line in runtime.inside("rspamd", ("cat", SELECTORS)).splitlines()]
        found["selectors"] = [row[1] for row in rows if row[0] == domain][-1:]
    if "junk" in names:
        judged = _judged(runtime, sent["junk"]["sender"], sent["junk"]["raw"])
        found["junk_action"] = judged.get("action", "")
    if {"admin", "webmail"} & {*names}:
        usermgmt = _environment(runtime, "usermgmt")
        # An older version's webmail has a form of its own.
        found["webmail_url"] = usermgmt.get("WEBMAIL_URL", "")
        if "webmail" in names and found["webmail_url"]:
            found |= {"token_user": accounts.FULL, "token": _token(runtime, accounts.FULL)}
        # An older version has the second only.
        hosts = [usermgmt[name] for name in ("ACCOUNT_HOST", "ADMIN_HOST") if name in usermgmt]
        found["account_hosts"] = hosts or ["localhost"]
    return found | {"webmail_host": context.setting("WEBMAIL_HOST") or "nginx"}


def _token(runtime: Runtime, address: str) -> str:
    """A token such as the webmail gets; without one, only the canary of the webmail fails."""
    try:
        return runtime.inside("usermgmt", ("usermgmt", "canary-token", address)).strip()
    except Refused as refusal:
        return f"none: {refusal}"


def _judged(runtime: Runtime, sender: str, raw: str) -> dict[str, Any]:
    """What rspamd says of a mail that this address sends; empty when that is nothing readable."""
    said = runtime.inside("rspamd", ("bash", SIGN_TOOL, sender), stdin=raw, limit=30)
    try:
        found: dict[str, Any] = json.loads(said)
    except ValueError:
        return {}
    return found


def _environment(runtime: Runtime, service: str) -> dict[str, str]:
    lines = runtime.inside(service, ("env",)).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
