"""The canaries' accounts: made by the operator's own tool, looked after before each deployment.

What shall not meet people has domains of its own, which usermgmt shows to nobody (usermgmt/canaries.py).
"""

import hashlib
import json
import secrets
from typing import Any

from mailctl.canaries import people
from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.database import CLIENT
from mailctl.core.disks import folder_of
from mailctl.core.errors import Problem, Refused
from mailctl.core.hosts import several
from mailctl.core.runtime import Runtime

DOMAIN, REST = people.DOMAIN, f"all.{people.DOMAIN}"
FULL, OFF, ALIAS = f"full@{DOMAIN}", f"off@{DOMAIN}", f"alias@{DOMAIN}"
NAME, QUOTA = "Canary of mailctl deploy", "50M"
#: Rows when nothing is missing: two mailboxes, one that is disabled, two aliases, one app password.
WHOLE = 6
COUNT = f"""SELECT (SELECT COUNT(*) FROM mailboxes WHERE email IN ('{{address}}', '{FULL}') AND active)
 + (SELECT COUNT(*) FROM mailboxes WHERE email = '{OFF}' AND NOT active)
 + (SELECT COUNT(*) FROM aliases WHERE source IN ('{ALIAS}', '@{REST}')
    AND destination = '{{address}}' AND active)
 + (SELECT COUNT(*) FROM app_passwords WHERE password_hash = '{{digest}}');"""  # noqa: S608 (no value comes from outside)
ROOM = f"UPDATE mailboxes SET quota_bytes = 1048576 WHERE email = '{FULL}';"  # noqa: S608
# What the tool has no command for. One mail fills the full mailbox.
FINISH = f"""UPDATE mailboxes SET active = FALSE WHERE email = '{OFF}';
UPDATE mailboxes SET quota_bytes = 1 WHERE email = '{FULL}';
DELETE FROM aliases WHERE source IN ('{ALIAS}', '@{REST}') AND destination <> '{{address}}';
INSERT IGNORE INTO app_passwords (mailbox_id, name, password_hash, created_at)
 SELECT id, '{NAME}', '{{digest}}', UTC_TIMESTAMP(6) FROM mailboxes WHERE email = '{{address}}';"""  # noqa: S608


def kept(context: Context) -> dict[str, str]:
    """The canary's address and passwords, made when there are none. Only this host knows them."""
    path = folder_of(context, "SSD_PATH") / ".mailctl" / "canary.json"
    try:
        found: dict[str, str] = json.loads(path.read_text("utf-8"))
        account = {"address": found["address"], "password": found["password"]}
    except (FileNotFoundError, ValueError, KeyError):
        found, account = {}, _new(context)
    # An older version had no app password.
    account["app_password"] = found.get("app_password") or secrets.token_urlsafe(24)
    if account != found:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        files.write(path, json.dumps(account))
    return account


def address(context: Context) -> str:
    """As whom the canaries submit mail: what is held of others goes through for it."""
    return kept(context)["address"]


def _new(context: Context) -> dict[str, str]:
    domain = context.setting("MAIL_DOMAIN")
    if not domain:
        raise Refused(Problem("MAIL_DOMAIN", "is not set", "write it into .env"))
    return {"address": f"canary-{secrets.token_hex(3)}@{domain}", "password": secrets.token_urlsafe(24)}


def ensure(context: Context, runtime: Runtime) -> dict[str, str]:
    """The account; what is missing of it or beside it, as after a restore, is made. Raises Refused."""
    account = kept(context)
    digest = hashlib.sha256(account["app_password"].encode()).hexdigest()
    named = {"address": account["address"], "digest": digest}
    if int(_sql(runtime, COUNT.format(**named)) or 0) != WHOLE:
        _make(runtime, account)
        _sql(runtime, FINISH.format(**named))
    if not people.status(runtime, [FULL]).get(FULL, {}).get("messages"):
        if several(context):
            # The proxy does not pass the option below on.
            _sql(runtime, ROOM)
        save = ("doveadm", "-o", "quota_storage_extra=1M", "save", "-u", FULL, "-m", "INBOX")
        runtime.inside("dovecot", save, stdin=f"Subject: {NAME}\n\nIt fills this mailbox.\n")
        if several(context):
            _sql(runtime, FINISH.format(**named))
    return account


def _make(runtime: Runtime, account: dict[str, str]) -> None:
    address, password = account["address"], account["password"]
    about = {"password": password, "quota": QUOTA, "display_name": NAME}
    wanted = {
        "domains": [{"name": name} for name in (address.partition("@")[2], DOMAIN, REST)],
        "mailboxes": [{"email": email, **about} for email in (address, FULL, OFF)],
        "aliases": [{"source": source, "destination": address} for source in (ALIAS, f"@{REST}")],
    }
    if "ensure" in runtime.inside("usermgmt", ("usermgmt", "--help")):
        runtime.inside("usermgmt", ("usermgmt", "ensure"), stdin=json.dumps(wanted))
    else:
        _make_one_by_one(runtime, wanted)


def _make_one_by_one(runtime: Runtime, wanted: dict[str, list[dict[str, str]]]) -> None:
    """The same with the words of version 0.11 and before: what runs now may be of that version."""
    for domain in wanted["domains"]:
        _old_tool(runtime, "domain", "add", domain["name"])
    for box in wanted["mailboxes"]:
        about = ("--password-stdin", "--quota", QUOTA, "--name", NAME)
        _old_tool(runtime, "mailbox", "add", box["email"], *about, stdin=box["password"])
    for alias in wanted["aliases"]:
        _old_tool(runtime, "alias", "add", alias["source"], alias["destination"])


def _old_tool(runtime: Runtime, *words: str, stdin: str = "") -> None:
    runtime.inside("usermgmt", ("usermgmt", *words, "--if-missing"), stdin=stdin)


def _sql(runtime: Runtime, statement: str) -> str:
    client = ("sh", "-c", CLIENT, "sh", "--batch", "--skip-column-names", "mailserver")
    return runtime.inside("mariadb", client, stdin=statement).strip()


def wanted(account: dict[str, str]) -> dict[str, Any]:
    """What the script inside needs to know of the accounts."""
    token = secrets.token_hex(6)
    return account | {
        "run": token,
        "full": FULL,
        "off": OFF,
        "alias": ALIAS,
        "rest": f"anybody-{token}@{REST}",
        "nobody": f"nobody-{token}@{DOMAIN}",
    }
