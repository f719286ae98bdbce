"""Erase a person: account, mail, what the webmail keeps, log-ins; and the list by which it is done again.

Every step may be repeated, and the note in the list comes first: what is interrupted, the nightly purge ends.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mailctl.accounts.api import Api
from mailctl.core import files, groupware, homes, hosts, job_results
from mailctl.core.containers import all_of
from mailctl.core.context import Context
from mailctl.core.folders import hdd, private
from mailctl.core.snapshots import Snapshot, every
from mailctl.person import rows
from mailctl.person.rows import Ask, Known

# Of those addresses, and of the names of their mailboxes in snapshots, only a hash is kept, with the time
# (UTC) at which they were erased.
LIST = f"{job_results.FOLDER}/erased.json"
# How many days a snapshot stays on the disk (mailctl/backup/publish.py: seven daily, four weekly ones).
DAYS = {"daily": 7, "weekly": 28}


def erase(context: Context, api: Api, address: str, known: Known) -> None:
    """All of it. Raises Refused; run again, it goes on."""
    root = hdd(context) / "mailboxes"
    _note(context, {address, *("@".join(reversed(home.split("/"))) for home in known.homes)})
    for alias in known.tables.get("aliases", []):
        api.call("DELETE", f"/aliases/{alias['id']}")
    if known.account and not known.account["deleted_at"]:
        api.call("DELETE", f"/mailboxes/{known.account['id']}")
    _remove(root, known)
    shutil.rmtree(hdd(context) / job_results.IMPORTS / address, ignore_errors=True)
    rows.erase(rows.running_database(context), address)
    remove_ownerless(context, rows.running_database(context))
    _remove(root, known)  # a delivery that had begun before the account was gone


def again(context: Context, api: Api) -> list[str]:
    """Erase those whom a restore has brought back, or whose erasure was interrupted; their addresses."""
    ask = rows.running_database(context)
    back = brought_back(context, ask)
    for address in back:
        erase(context, api, address, rows.known(ask, address))
    remove_ownerless(context, ask)
    return back


def remove_ownerless(context: Context, ask: Ask) -> None:
    """Remove the calendars and address books of mailboxes that are no more. Raises Refused.

    Of several hosts, the nightly purge of the one that has them does it.
    """
    elsewhere = hosts.several(context) and groupware.SERVICE not in all_of(context)
    if groupware.here(context) and not elsewhere:
        # In this order: whoever comes meanwhile is in the second list only.
        there, owners = groupware.people(context), rows.people(ask)
        groupware.remove(context, [name for name in there if name not in owners])


def brought_back(context: Context, ask: Ask) -> list[str]:
    """The accounts in a database whose owners were erased since they were made."""
    done = erased(context)
    return (
        [address for address, at in rows.accounts(ask) if at < done.get(_hash(address), "")] if done else []
    )


def keep_erased(context: Context, ask: Ask) -> None:
    """Erase in a restored database whom it would bring back, before anybody uses it."""
    for address in brought_back(context, ask):
        rows.erase(ask, address)


def since(context: Context, mailboxes: Iterable[str], taken: datetime) -> list[str]:
    """Those of the mailboxes of a snapshot whose owners were erased after it was taken."""
    done, then = erased(context), f"{taken:%Y-%m-%d %H:%M:%S}"
    return [name for name in mailboxes if done.get(_hash(name), "") > then]


def erased(context: Context) -> dict[str, str]:
    """When each was erased (UTC, as the database writes times), by the SHA-256 of the address."""
    try:
        found: dict[str, str] = json.loads((hdd(context) / LIST).read_bytes())
    except FileNotFoundError:
        return {}
    return found


def stays(context: Context, address: str, known: Known) -> list[tuple[str, str]]:
    """What an erasure leaves, and until when."""
    found = [(one.id, _expected(one)) for one in every(hdd(context)) if address in one.mailboxes]
    if context.setting("BACKUP_BUCKET"):
        sync = (job_results.last(context, "sync") or {}).get("last_good") or {}
        newest = sync.get("document", {}).get("newest") or "none yet"
        lock = _lock_days(context)
        end = f"{date.today() + timedelta(days=lock)}" if lock else "the lock of the bucket"
        until = (
            f"at least {end} (Object Lock), then until make sync ARGS=--prune; a pack that also holds mail of"
            " others is kept, encrypted, for as long as they need it"
        )
        found.append((f"copies in S3, newest {newest}", until))
    if known.tables.get("admins"):
        found.append(("the account of an administrator", "remove it on the page Admins"))
    return [
        *found,
        ("logs of the containers, the filter's last 200 mails", "newer ones replace them (50 MB a service)"),
        ("mail to or from them in the queue", "it is delivered, or returned after five days"),
        ("which mail came in when, and where it was forwarded (mailserver-api)", "21 days"),
        ("mail, contacts and filters of others", "they delete them: these are theirs"),
        ("lines of the audit log", "kept, with a mark in place of the address"),
    ]


def _remove(root: Path, known: Known) -> None:
    for home in known.homes:
        for place in homes.places(root, home):
            homes.remove(root, place)


def _note(context: Context, names: Iterable[str]) -> None:
    """Put them into the list; a second time leaves a later moment."""
    path = private(hdd(context) / job_results.FOLDER) / Path(LIST).name
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    files.write(path, json.dumps(erased(context) | dict.fromkeys(map(_hash, names), now), indent=1))


def _hash(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def _expected(found: Snapshot) -> str:
    """When a snapshot goes, as long as one is taken every day."""
    return f"about {found.day + timedelta(days=DAYS[found.manifest.kind])}"


def _lock_days(context: Context) -> int:
    """The answer object_lock_days; 0 where there is none."""
    import yaml

    answers = yaml.safe_load((context.repo / "answers.yml").read_text("utf-8")) or {}
    return int(answers.get("object_lock_days") or 0)
