"""Runs the canaries and keeps the account that they use."""

import base64
import json
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from mailctl.core.context import Context
from mailctl.core.disks import folder_of
from mailctl.core.errors import Problem, Refused
from mailctl.core.runtime import Runtime, as_json

NAMES = ("mail", "virus", "login", "webmail", "admin")
# For so long a canary is tried again, in seconds: nginx asks again for a service's address after ten.
LIMIT = 60.0
# Read now: a deployment may exchange the file while it runs.
SCRIPT = Path(__file__).with_name("inside.py").read_text("utf-8")
PLAIN = "Content-Type: text/plain; charset=us-ascii"
SIGN_TOOL = "/etc/rspamd/bin/sign"
# In two halves: a scanner on the machine that this file lies on must not take it for the test virus itself.
EICAR = ("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANT", "IVIRUS-TEST-FILE!$H+H*")


@dataclass(frozen=True)
class Canary:
    """One thing that was tried, how long it took in seconds, and what was seen."""

    name: str
    ok: bool
    seconds: float
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(
    context: Context,
    names: Sequence[str] | None = None,
    progress: Callable[[Canary], None] | None = None,
    runtime: Runtime | None = None,
    limit: float = LIMIT,
) -> list[Canary]:
    """Try the named canaries, or all that this server has. What fails is part of the result, never raised."""
    if runtime is None:
        from mailctl.core.engine import connected
        from mailctl.core.runtime import Runtime

        with connected() as engine:
            return run(context, names, progress, Runtime(context, engine), limit)
    chosen = list(names or NAMES)
    try:
        services = runtime.running()
        chosen = [name for name in chosen if name != "virus" or "clamav" in services]
        found = _tried(context, runtime, chosen, limit)
    except Refused as refusal:
        found = [Canary(name, False, 0.0, str(refusal)[:300]) for name in chosen]
    for canary in found:
        if progress:
            progress(canary)
    return found


def _tried(context: Context, runtime: Runtime, names: list[str], limit: float) -> list[Canary]:
    account, is_new = _account(context)
    if is_new:
        _make(context, runtime, account)
    wanted = _wanted(context, runtime, account, names, limit) | {"made": is_new}
    results = _inside(runtime, wanted, names, limit)
    if any(not one["ok"] and "AUTHENTICATIONFAILED" in one["detail"] for one in results.values()):
        # The database does not have it, as after a restore from before it was made.
        _make(context, runtime, account)
        again = [name for name in names if not results[name]["ok"]]
        results |= _inside(runtime, wanted | {"made": True}, again, limit)
    return [Canary(name, **results[name]) for name in names]


def _inside(runtime: Runtime, wanted: dict[str, Any], names: list[str], limit: float) -> dict[str, Any]:
    document = json.dumps({**wanted, "names": names})
    said = runtime.inside("mailserver-api", ("python", "-c", SCRIPT), stdin=document, limit=limit + 90)
    found: dict[str, Any] = as_json(said)
    return found


def _wanted(
    context: Context, runtime: Runtime, account: dict[str, str], names: list[str], limit: float
) -> dict[str, Any]:
    number = f"<canary-{secrets.token_hex(12)}@{account['address'].partition('@')[2]}>"
    mail = _mail(account["address"], number, "It shows that mail arrives, and may be deleted.")
    if "mail" in names:
        signed = runtime.inside("rspamd", ("bash", SIGN_TOOL, account["address"]), stdin=mail, limit=30)
        try:
            mail = f"DKIM-Signature: {json.loads(signed)['dkim-signature']}\r\n{mail}"
        except (ValueError, KeyError):
            domain = account["address"].partition("@")[2]
            problem = Problem("rspamd", f"does not sign for {domain}", "make dkim-status")
            raise Refused(problem) from None
    usermgmt = _environment(runtime, "usermgmt")
    return {
        **account,
        "limit": limit,
        "mail": mail,
        "mail_id": number,
        "virus": _virus(account["address"]),
        "webmail_host": context.setting("WEBMAIL_HOST") or "nginx",
        # An older version has the second only.
        "account_hosts": [usermgmt[name] for name in ("ACCOUNT_HOST", "ADMIN_HOST") if name in usermgmt]
        or ["localhost"],
    }


def _environment(runtime: Runtime, service: str) -> dict[str, str]:
    lines = runtime.inside(service, ("env",)).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _mail(address: str, number: str, text: str, head: str = PLAIN) -> str:
    fields = {
        "From": address,
        "To": address,
        "Subject": "Canary of mailctl",
        "Date": format_datetime(datetime.now(UTC)),
        "Message-ID": number,
        "MIME-Version": "1.0",
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{lines}{head}\r\n\r\n{text}\r\n"


def _virus(address: str) -> str:
    head = (
        "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="eicar.com"'
    )
    number = f"<virus-{secrets.token_hex(12)}@{address.partition('@')[2]}>"
    return _mail(address, number, base64.b64encode("".join(EICAR).encode()).decode(), head)


def _account(context: Context) -> tuple[dict[str, str], bool]:
    """The canary's address and password, and whether they were made just now. Only this host knows them."""
    path = folder_of(context, "SSD_PATH") / ".mailctl" / "canary.json"
    try:
        found: dict[str, str] = json.loads(path.read_text("utf-8"))
        return {"address": found["address"], "password": found["password"]}, False
    except (FileNotFoundError, ValueError, KeyError):
        pass
    domain = context.setting("MAIL_DOMAIN")
    if not domain:
        raise Refused(Problem("MAIL_DOMAIN", "is not set", "write it into .env"))
    made = {"address": f"canary-{secrets.token_hex(3)}@{domain}", "password": secrets.token_urlsafe(24)}
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(json.dumps(made))
    return made, True


def _make(context: Context, runtime: Runtime, account: dict[str, str]) -> None:
    """The mailbox of the canary, by the tool that an operator uses."""
    tool, domain = ("usermgmt",), account["address"].partition("@")[2]
    runtime.inside("usermgmt", (*tool, "domain", "add", domain, "--if-missing"))
    about = ("--password-stdin", "--quota", "50M", "--name", "Canary of mailctl deploy", "--if-missing")
    words = (*tool, "mailbox", "add", account["address"], *about)
    runtime.inside("usermgmt", words, stdin=account["password"])
