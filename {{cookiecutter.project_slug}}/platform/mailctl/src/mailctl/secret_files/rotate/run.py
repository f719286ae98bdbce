"""`mailctl secrets rotate`: make or take a new value, have both valid, prove the new one, end the old one."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from mailctl.core.context import Context
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.hosts import several
from mailctl.secret_files.rotate import api, database, deployed, journal, readers, relay
from mailctl.secret_files.rotate.journal import PROVEN, Journal
from mailctl.secret_files.store import Store, opened
from mailctl.secret_files.table import DERIVED, Inputs, Source, used

AWS, RELAY, API = "aws_uploader_key", "relay_password", "mailserver_api_tokens"


@dataclass
class Result:
    """What was done with which secret; `next` is what only the operator can do."""

    name: str
    settled: str | None = None
    readers: list[str] = field(default_factory=list)
    next: str = ""

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, "settled": self.settled, "reloaded": self.readers, "next": self.next}


def rotate(context: Context, name: str, value: Callable[[], str], finish: bool) -> Result:
    """Rotate the secret file `name`; `value` is asked for what only a provider can make.

    A run that was killed is settled first. Raises Misuse for a name that cannot be rotated here, and Refused
    when the new value does not work: then the old one is in place and valid.
    """
    source = _source(context, name)
    result = Result(name)
    with opened(context.folder("SECRETS_DIR", "secrets"), create=False) as store, store.locked():
        if name == API:
            result.next = api.rotate(context, store, source, finish)
            return result
        if not several(context):
            result.settled = settle(context, store)
        old = (store.read(name) or b"").decode().strip()
        new = value().strip() if name == RELAY else (source.make or bytes)().decode()
        if source.rule and (wrong := source.rule.complaint(new)):
            raise Refused(Problem(name, wrong, "give the new value whole, as the provider shows it"))
        entry = Journal(name, old, new)
        if several(context):
            result.next = _by_deployment(context, store, entry, finish)
            return result
        entry.write(store)
        try:
            _change(context, store, entry)
        except Refused:
            with suppress(Refused):  # else the journal stays, and the next run tries again
                settle(context, store)
            raise
        result.readers = [each for each in source.readers if each in readers.READERS]
    if name == RELAY:
        result.next = "delete the old key at the provider"
    return result


def _by_deployment(context: Context, store: Store, entry: Journal, finish: bool) -> str:
    if entry.name in database.ACCOUNTS:
        return deployed.rotate(
            context, store, entry, finish, lambda value: _write(context, store, entry.name, value)
        )
    relay.try_key(context, entry.new)
    _write(context, store, entry.name, entry.new)
    return f"{deployed.DEPLOY}, then delete the old key at the provider"


def settle(context: Context, store: Store) -> str | None:
    """End a rotation that was broken off: forwards once the new value was proven, else backwards."""
    entry = journal.read(store)
    if entry is None:
        return None
    if entry.phase == PROVEN:
        _end(context, store, entry)
        return f"{entry.name}: an earlier rotation was finished"
    if entry.name in database.ACCOUNTS:
        database.allow(context, entry.name, (entry.new, entry.old), _root(store, entry))
    _use(context, store, entry.name, entry.old)
    if entry.name in database.ACCOUNTS:
        database.allow(context, entry.name, (entry.old,), _root(store, entry))
    store.remove(journal.FILE)
    return f"{entry.name}: an earlier rotation was undone, the former value is in place"


def _change(context: Context, store: Store, entry: Journal) -> None:
    if entry.name in database.ACCOUNTS:
        database.allow(context, entry.name, (entry.new, entry.old), _root(store, entry))
        database.log_in(context, entry.name, entry.new)
        database.log_in(context, entry.name, entry.old)
    else:
        relay.try_key(context, entry.new)
    _use(context, store, entry.name, entry.new)
    proven = Journal(entry.name, entry.old, entry.new, PROVEN)
    proven.write(store)
    _end(context, store, proven)


def _end(context: Context, store: Store, entry: Journal) -> None:
    """The old value ends. What uses the secret is asked once more, now that only the new one opens."""
    if entry.name in database.ACCOUNTS:
        database.allow(context, entry.name, (entry.new,), _root(store, entry))
        for service in _source(context, entry.name).readers:
            if service in readers.READERS:
                readers.check(context, service)
    store.remove(journal.FILE)


def _use(context: Context, store: Store, name: str, value: str) -> None:
    """Write the value into its file and those made from it, and have the readers take it up."""
    contents = _write(context, store, name, value)
    read = [service for service in _source(context, name).readers if service in readers.READERS]
    readers.take_up(context, read, name, contents)


def _write(context: Context, store: Store, name: str, value: str) -> dict[str, bytes]:
    """Write the value into its file and those made from it; what each holds, as the containers call it."""
    contents = {name: value.encode()}
    store.overwrite(name, contents[name], _source(context, name).mode)
    for made in (each for each in DERIVED if name in each.sources):
        content = made.build(b"", Inputs({name: contents[name]}, context.slug, ()))
        store.overwrite(made.file, content, made.mode)
        contents[made.file.removesuffix(".conf")] = content
    return contents


def _root(store: Store, entry: Journal) -> list[str]:
    """What may be root's password now."""
    if entry.name == database.ROOT:
        return [entry.new, entry.old]
    return [(store.read(database.ROOT) or b"").decode().strip()]


def _source(context: Context, name: str) -> Source:
    """The row of the table. Raises Misuse for one that is not rotated by this command."""
    here = {source.file: source for source in used(several(context)).sources}
    known = [each for each in (*database.ACCOUNTS, RELAY, API) if each in here]
    if name == AWS:
        raise Misuse(Problem(name, "AWS makes this one", ".venv/bin/mailctl secrets aws", value=None))
    if name not in known:
        raise Misuse(Problem("NAME", "cannot be rotated here", f"one of: {', '.join(known)}", value=name))
    return here[name]
