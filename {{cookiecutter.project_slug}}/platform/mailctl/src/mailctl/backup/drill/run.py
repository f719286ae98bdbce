"""Restores a snapshot into a stack of its own, without ports or a way out, and reads all mail back."""

import contextlib
import io
import signal
import tarfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailctl.backup import groupware, learned
from mailctl.backup.drill.report import Drill
from mailctl.backup.restore import stage
from mailctl.backup.restore.choose import check, refuse, refuse_without_room
from mailctl.backup.restore.journal import remove
from mailctl.backup.restore.readback import read_back
from mailctl.backup.restore.run import accounts
from mailctl.backup.restore.scratch import Scratch
from mailctl.core import encryption, hosts, snapshots
from mailctl.core.containers import all_of
from mailctl.core.context import Context
from mailctl.core.database import load, migrate, query
from mailctl.core.disk_locks import held
from mailctl.core.errors import Problem, Refused
from mailctl.core.folders import hdd, private
from mailctl.core.snapshot_manifest import COMPONENTS
from mailctl.core.snapshots import Snapshot

LOCAL, S3 = "local", "s3"
SEALED = ("config/secrets.tar.age", "ssl/tls.tar.age", "dkim/keys.tar.age")
# Here nobody logs in: mail of accounts that are switched off must be readable as well.
HERE = "UPDATE mailboxes SET shard = '{0}', volume = '{0}'; DELETE FROM mailbox_moves;"
ACTIVATE = "UPDATE domains SET active = 1; UPDATE mailboxes SET active = 1, deleted_at = NULL;"


def sources(context: Context, local_only: bool, s3_only: bool) -> list[str]:
    """What is tried: both, unless one is asked for, or nothing is copied to S3 from here."""
    if s3_only or local_only:
        return [S3 if s3_only else LOCAL]
    if context.setting("BACKUP_BUCKET"):
        return [LOCAL, S3]
    context.out.warn("BACKUP_BUCKET is not set: only the local snapshot is tried")
    return [LOCAL]


def drill(context: Context, wanted: list[str]) -> list[Drill]:
    """One drill after the other; what a killed one has left is removed first. Nothing of them stays."""
    home = hdd(context) / ".mailctl" / "drill"
    # systemd ends a service by SIGTERM, and a job in the background ignores SIGINT: both clean up here.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    beside = _beside(context, home)
    results = []
    for source in wanted:
        with _empty(beside):
            results.append(_try(context, beside, source))
    return results


def _beside(context: Context, home: Path) -> Scratch:
    """The stack of a drill; of several hosts with what this one has, in the images that its tasks run."""
    services = ("mariadb", hosts.store(context), learned.SERVICE)
    row = hosts.here(context)
    if row is None:
        return Scratch(context, home, "drill", services, home / "secrets")
    there = all_of(context)
    images = {name: there[name].image for name in services if name in there}
    shard = str(row.get("shard") or "none")
    return Scratch(context, home, "drill", services, home / "secrets", shard, images)


@contextlib.contextmanager
def _empty(beside: Scratch) -> Iterator[None]:
    """Nothing is there before, and nothing after, however it ends."""
    try:
        _clear(beside)
        yield
    finally:
        _clear(beside)


def _clear(beside: Scratch) -> None:
    beside.down()
    remove([beside.home])


def _try(context: Context, beside: Scratch, source: str) -> Drill:
    """One drill; what goes wrong is part of its result."""
    result, began = Drill(source), time.monotonic()
    try:
        snapshot = _snapshot(context, beside.home, source)
        result.snapshot = snapshot.id
        result.age = (datetime.now(UTC) - snapshot.taken).total_seconds()
        with held(snapshot.path):
            _read(context, beside, snapshot, result, began)
    except Refused as refusal:
        result.failures = [f"{one.field}: {one.wrong}" for one in refusal.problems]
        if refusal.details:
            context.out.note(refusal.details)
    result.total = time.monotonic() - began
    return result


def _read(context: Context, beside: Scratch, snapshot: Snapshot, result: Drill, began: float) -> None:
    """Restore, and compare all of it; the snapshot stays in its place meanwhile."""
    private(beside.home)
    refuse_without_room(context, snapshot, COMPONENTS, beside.home)
    if result.source == LOCAL:
        check(context, snapshot, COMPONENTS)
    result.unsealed = _unseal(context, snapshot)
    context.out.note(f"restoring {snapshot.id} into {beside.project}")
    _restore(context, beside, snapshot)
    result.readable = time.monotonic() - began
    if "learned" in snapshot.manifest.components:
        _relearn(beside, snapshot, result)
    if "groupware" in snapshot.manifest.components:
        data = private(beside.home / "groupware")
        data.chmod(0o755)
        result.groupware = groupware.put(snapshot.path / groupware.FILE, data / "collections")
        groupware.verify(context, data)
    if "mail" not in snapshot.manifest.components:
        return
    context.out.note("reading every mail over IMAP")
    container = beside.compose.run("ps", "--quiet", hosts.store(context)).strip()
    result.read = read_back(snapshot, container, accounts(beside.compose), whole=True)


def _snapshot(context: Context, home: Path, source: str) -> Snapshot:
    if source == LOCAL:
        found = snapshots.latest(hdd(context))
        if found is None:
            raise Refused(Problem("snapshot", "there is no good one on this disk", "make backup"))
        return found
    from mailctl.backup.offsite.download import fetch

    return fetch(context, "latest", home / "fetched", COMPONENTS)


def _unseal(context: Context, snapshot: Snapshot) -> list[str]:
    """Decrypt every sealed file with the key of this host; returns what was in them, in words."""
    there, found = snapshot.manifest.components, list[str]()
    if not there.keys() & {"config", "ssl", "dkim"}:
        return found
    identities = encryption.identities(context, None)
    if "config" in there:
        found = [f".env ({len(stage.unseal(snapshot.path / 'config' / 'env.age', identities))} bytes)"]
    for name in (name for name in SEALED if name.partition("/")[0] in there):
        with tarfile.open(fileobj=io.BytesIO(stage.unseal(snapshot.path / name, identities))) as tar:
            found.append(f"{name} ({len(tar.getnames())} files)")
    return found


def _restore(context: Context, beside: Scratch, snapshot: Snapshot) -> None:
    _make_secrets(context, beside)
    beside.hdd.mkdir(parents=True)
    beside_it, there = stage.is_disposable(context, snapshot), snapshot.manifest.components
    if "mail" in there:
        refuse(snapshot, stage.stage_mail(snapshot, beside.mailboxes, disposable=beside_it))
    beside.up("mariadb")
    if "mysql" in there:
        load(beside.compose, snapshot.path / "mysql")
        migrate(beside.compose, context.repo)
    else:
        query(beside.compose, _accounts_of(snapshot), "mailserver")
    query(beside.compose, ACTIVATE, "mailserver")
    if beside.shard is not None:
        query(beside.compose, HERE.format(beside.shard), "mailserver")
    if "mail" in there:
        beside.up("mariadb", hosts.store(context))


def _accounts_of(snapshot: Snapshot) -> str:
    """Accounts that open the mailboxes of a host without a member of the database, whose dump has none."""
    names = [(name, name.rpartition("@")[2]) for name in sorted(snapshot.mailboxes)]
    domain_row = "INSERT IGNORE INTO domains (name) VALUES ({});"
    lines = [domain_row.format(_text(domain)) for _, domain in names]
    row = "INSERT INTO mailboxes (domain_id, email, password_hash, quota_bytes) SELECT id, {}, 'x', 1 << 50"
    lines += [
        f"{row.format(_text(name))} FROM domains WHERE name = {_text(domain)};" for name, domain in names
    ]
    return "\n".join(lines)


def _text(value: str) -> str:
    """A value in SQL, in digits, so that none ends a string."""
    return f"CONVERT(X'{value.encode().hex()}' USING utf8mb4)"


def _relearn(beside: Scratch, snapshot: Snapshot, result: Drill) -> None:
    """Does a Valkey read what rspamd has learned? It refuses to start on a damaged log."""
    learned.put(snapshot.path / learned.FILE, beside.valkey / learned.LOG)
    mail = [hosts.store(beside.context)] if "mail" in snapshot.manifest.components else []
    beside.up("mariadb", *mail, learned.SERVICE)
    keys = learned.KEYS if beside.shard is None else learned.KEYS_OF_MEMBER
    result.learned = int(beside.compose.run("exec", "-T", learned.SERVICE, "sh", "-c", keys))


def _make_secrets(context: Context, beside: Scratch) -> None:
    """Passwords and certificates of its own: nothing of the real server is in reach of what runs here."""
    from mailctl.secret_files.initialise import initialise

    settings = beside.home / ".env"
    settings.touch(mode=0o600)
    host = {"WEBMAIL_HOST": context.setting("WEBMAIL_HOST")}
    initialise(Context(context.repo, context.out, host, settings), beside.secrets)
