"""Obtains the certificate for mail programs when it is due; the services take it up without a stop."""

from dataclasses import dataclass
from datetime import datetime

from mailctl.certificate import order
from mailctl.certificate.challenge import TOKEN_FILE, TOKEN_VARIABLE, Challenge
from mailctl.core import containers, folders, monitoring
from mailctl.core.client_host import client_host
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.certificates import new_key
from mailctl.secret_files.client_certificate import FILE, MODE, RENEW_BELOW, ClientCertificate, covers, read
from mailctl.secret_files.rotate.readers import see
from mailctl.secret_files.store import Store, opened

ACCOUNT, AUTHORITY = "acme_account.key", "internal_ca.crt"
#: The name of the file in the containers, and what has a service read it again; no connection ends by that.
INSIDE = "client_tls"
RELOADS = {"dovecot": ("doveadm", "reload"), "postfix": ("postfix", "reload")}
OFF, NO_TOKEN, KEPT, RENEWED = "off", "no token", "kept", "renewed"
#: What the last run left for the monitor, and for the next one.
LEFT = "certificate"


@dataclass(frozen=True)
class Outcome:
    """`state` is one of the words above; `ends` is the certificate's last moment, `own` our authority's."""

    host: str
    state: str
    ends: datetime | None = None
    own: bool = True

    def as_dict(self) -> dict[str, object]:
        ends = self.ends.isoformat(timespec="seconds") if self.ends else None
        return {"ok": True, "host": self.host, "state": self.state, "ends": ends, "own": self.own}


def renew(context: Context, force: bool, resolver: str | None, wait: float) -> Outcome:
    """Do what is due. Raises Refused; the certificate that was there serves on until a new one is whole."""
    host = client_host(context)
    if not host:
        return Outcome("", OFF)
    try:
        with opened(folders.secrets(context), create=False) as store:
            return _renew(context, store, host, force, resolver, wait)
    except Refused as refusal:
        _leave(context, str(refusal), monitoring.read(context, LEFT).get("taken_up", True))
        raise


def _renew(
    context: Context, store: Store, host: str, force: bool, resolver: str | None, wait: float
) -> Outcome:
    content, ca = store.read(FILE) or b"", store.read(AUTHORITY) or b""
    found, token = read(content, ca), _token(context, store)
    fits = found is not None and not found.own and covers(found, [host]) and not found.below(RENEW_BELOW)
    due = force or not fits
    if due and not token:
        if found is None:
            raise Refused(Problem(FILE, "is not there, or not whole", "make setup"))
        return Outcome(host, NO_TOKEN, found.ends, found.own)
    if due:
        key = new_key()
        directory = context.setting("ACME_DIRECTORY", order.DIRECTORY)
        challenge = Challenge(context, token, resolver, wait)
        chain = order.obtain(directory, store.read(ACCOUNT) or b"", key, host, challenge)
        content = key + chain.strip() + b"\n"
        found = _whole(content, ca, host)
        _leave(context, "", False)
        with store.locked():
            # The very file, which containers keep open. What a crash leaves of it is due at the next run.
            store.overwrite(FILE, content, MODE)
    if due or not monitoring.read(context, LEFT).get("taken_up", True):
        _take_up(context, content)
    _leave(context, "", True)
    assert found is not None  # noqa: S101 - for the type checker: what is None was due
    return Outcome(host, RENEWED if due else KEPT, found.ends, found.own)


def _token(context: Context, store: Store) -> str:
    return (context.environ.get(TOKEN_VARIABLE) or (store.read(TOKEN_FILE) or b"").decode()).strip()


def _whole(content: bytes, ca: bytes, host: str) -> ClientCertificate:
    """What was handed over must be what was asked for, before anything of it is written."""
    found = read(content, ca)
    if found is None or not covers(found, [host]) or found.below(RENEW_BELOW):
        wrong = "the authority's answer is not a valid certificate for this name and key"
        raise Refused(Problem("certificate", wrong, "run the same command again later", value=host))
    return found


def _take_up(context: Context, content: bytes) -> None:
    """Services that do not run read it when they start."""
    there = containers.all_of(context)
    for service, words in RELOADS.items():
        if service in there and there[service].status == "running":
            see(there[service].id, service, INSIDE, content)
            containers.output(there[service].id, *words)


def _leave(context: Context, problem: str, taken_up: bool) -> None:
    monitoring.leave(context, LEFT, {"problem": problem[:500], "taken_up": taken_up})
