"""Mail that waits while a deployment is tried: what the containers read of it, and what others ask about it.

Below <SSD_PATH>/hold each of three services has a folder, which it mounts read-only; a file in it that is not
there means that nothing is held. deploy/hold.py decides when.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from mailctl.core import files
from mailctl.core.context import Context
from mailctl.core.disks import folder_of
from mailctl.core.errors import Refused

# For the containers' accounts.
READABLE = 0o644
NAME = "hold"
FOLDERS = tuple(f"{NAME}/{service}" for service in ("api", "postfix", "dovecot"))
API, CHECKS, CLOSED = "api/hold.json", "postfix/header_checks", "dovecot/closed.conf"
# The line that Postfix itself puts on top of each mail, also of its own reports; it names a single recipient,
# as the canaries' mails have one: https://www.postfix.org/header_checks.5.html
HOLD_ALL = """if /^Received: .*\\(Postfix[,)]/
!/[[:space:]]for <(canary-[^>]*|[^>]*@([^>]+\\.)?mailctl-canary\\.test)>/ HOLD a version is being tried
endif
"""
# Nobody but the canaries reads or writes mail and filters: their listener stays (dovecot.conf).
CLOSE_IMAP = """service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 0
  }
}
service managesieve-login {
  inet_listener sieve {
    port = 0
  }
}
"""


def make_folders(ssd: Path) -> None:
    """Make the folders that are missing: an older version's `make setup` did not."""
    for name in FOLDERS:
        (ssd / name).mkdir(parents=True, exist_ok=True)
        (ssd / name).chmod(0o755)


def shut(context: Context, word: str, since: float, closed: bool) -> None:
    """mailserver-api answers `holding` to others than the canaries; with `closed`, Dovecot lets none in."""
    make_folders(folder_of(context, "SSD_PATH"))
    digest = hashlib.sha256(word.encode()).hexdigest()
    files.write(_path(context, API), json.dumps({"since": since, "pass": digest}), READABLE)
    if closed:
        files.write(_path(context, CLOSED), CLOSE_IMAP, READABLE)


def freeze(context: Context) -> None:
    """What Postfix takes from its next reload on is kept back."""
    files.write(_path(context, CHECKS), HOLD_ALL, READABLE)


def thaw(context: Context) -> None:
    """What is taken after the next reloads of Postfix and Dovecot goes its way."""
    for name in (CHECKS, CLOSED):
        _path(context, name).unlink(missing_ok=True)


def admit(context: Context) -> None:
    """mailserver-api takes everybody's mail again."""
    _path(context, API).unlink(missing_ok=True)


def since(context: Context) -> float | None:
    """When mail began to be held, in epoch seconds; None: none is. Raises Refused, OSError and ValueError."""
    try:
        return float(json.loads(_path(context, API).read_bytes())["since"])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{API} has no time in it") from error


def word(context: Context) -> str | None:
    """The canaries' word for mailserver-api while mail is held; None: none is needed."""
    folder = _deployments(context)
    for hold in (_read(folder / "journal.json").get("hold") or {}, _read(folder / "held.json")):
        if hold.get("word") and hold.get("seconds") is None:
            return str(hold["word"])
    return None


def last(context: Context) -> dict[str, Any]:
    """The document of the newest deployment that ended; empty when there is none."""
    try:
        found = sorted((_deployments(context) / "history").glob("*.json"))
    except Refused:
        return {}
    return _read(found[-1]) if found else {}


def _deployments(context: Context) -> Path:
    return folder_of(context, "SSD_PATH") / ".mailctl" / "deploy"


def _path(context: Context, name: str) -> Path:
    return folder_of(context, "SSD_PATH") / NAME / name


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
