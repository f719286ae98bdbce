"""Secrets in git: each secret file encrypted with age in secrets.age/, to the owner's key and to this host's.

One file a secret, so that git shows which one changed; names and lengths are not hidden. age never encrypts
the same to the same, so contents are compared, decrypted. What this host has had before is older than what it
has now, since the other side (the database, the relay) knows the newest: `.known` keeps digests of it.
"""

import base64
import hashlib
import io
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailctl.core import encryption, folders
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused
from mailctl.secret_files.store import Store, opened
from mailctl.secret_files.table import DATABASE_PASSWORDS, OWNER_ONLY, PUBLIC_IN_FOLDER, SOURCES

FOLDER, RECIPIENTS, END = "secrets.age", "recipients.txt", ".age"
#: What is made of nothing else: `secrets init` makes the rest. Devices trust the authority's certificate.
MODES = {source.file: source.mode for source in SOURCES} | {"internal_ca.crt": PUBLIC_IN_FOLDER}
#: .env, which has what no answer says. A deployment never touches it.
ENV = "env"
KNOWN, FORMER, REMEMBERED = ".known", ".former", 20
SAME, NEW, HOST = "the same", "not in git yet", "newer on this host"
GIT, BOTH, LOCKED = "newer in git", "changed here and in git", "not readable with this key"
SEAL = f".venv/bin/mailctl secrets seal, then commit {FOLDER}/"
OPEN = ".venv/bin/mailctl secrets open"


@dataclass(frozen=True)
class Secret:
    """A secret here and in git, None where it is missing; `state` is one of the words above."""

    state: str
    live: bytes | None
    sealed: bytes | None


def on(context: Context) -> bool:
    """Whether this repository keeps its secrets in git."""
    return (context.repo / FOLDER / RECIPIENTS).is_file()


def differing(context: Context) -> dict[str, str]:
    """What is not the same here and in git, with a word each. Raises Refused: no key, or no folder."""
    with _both(context, context.repo / FOLDER) as (live, sealed):
        found = _look(context, live, sealed, encryption.identities(context))
        same_readers = _listed(sealed) == encryption.recipients(context)
    readers = {} if same_readers else {RECIPIENTS: f"other keys than {encryption.SETTING} and this host's"}
    return {name: one.state for name, one in found.items() if one.state != SAME} | readers


def seal(context: Context, force: bool = False) -> list[str]:
    """Encrypt what differs from git, all of it when the keys changed; returns the names.

    To the keys of .env and this host, never to one that only git names. Raises Refused before anything is
    written when git has something that this host has not opened, unless `force`.
    """
    wanted, keys = encryption.recipients(context), encryption.identities(context)
    with _both(context, context.repo / FOLDER) as (live, sealed):
        found = _look(context, live, sealed, keys)
        if not force and (newer := _of(found, GIT, BOTH, LOCKED)):
            fix = f"{OPEN} takes git's, --force overwrites it with this host's"
            raise Refused(*(Problem(f"{FOLDER}/{n}{END}", found[n].state, fix) for n in newer))
        anew = _listed(sealed) != wanted
        due = {
            n: one.live for n, one in found.items() if one.live is not None and (anew or one.state != SAME)
        }
        for name, content in due.items():
            target = io.BytesIO()
            encryption.encrypt(io.BytesIO(content), target, wanted)
            sealed.write(f"{name}{END}", target.getvalue(), 0o644)
        if anew:  # last: a run that was killed begins again
            said = [line for line in _lines(sealed) if line.startswith("#")]
            sealed.write(RECIPIENTS, "".join(f"{line}\n" for line in [*said, *wanted]).encode(), 0o644)
        _remember(live, {n: one.live for n, one in found.items() if one.live is not None})
    return list(due)


def seal_again(context: Context) -> str:
    """Seal after a change, and say what is next. That it cannot be done does not undo the change."""
    try:
        return f"{', '.join(seal(context)) or 'nothing new'}; commit {FOLDER}/"
    except (Refused, OSError) as error:
        return f"not done: {error}; {SEAL}"


def open_sealed(
    context: Context,
    folder: Path,
    key: Path | None = None,
    force: bool = False,
    only: Collection[str] = (),
    deployment: str = "",
) -> list[str]:
    """Decrypt what git has and this host has not yet; returns the names. Repeating it changes nothing.

    `folder` is secrets.age of the commit that counts; with `key` the owner's key opens it, else the host's;
    `only` these secrets, if it names any. With the id of a `deployment` the former contents are kept for
    `take_back`. Raises Refused before anything is written: the key does not open one, or one was changed here
    as well (unless `force`).
    """
    if not folder.is_dir() or not any(folder.glob(f"*{END}")):
        return []
    _refuse_strangers(folder)
    keys = encryption.identities(context, key)
    env = [] if deployment or (only and ENV not in only) else _open_env(context, folder, keys, force)
    with _both(context, folder) as (live, sealed):
        found = _look(context, live, sealed, keys)
        found = {name: one for name, one in found.items() if name != ENV and name in (only or found)}
        if problems := [p for name, one in found.items() if (p := _refusal(name, one, force))]:
            raise Refused(*problems)
        wanted = (GIT, HOST, BOTH) if force else (GIT,)
        due = {name: found[name].sealed or b"" for name in _of(found, *wanted)}
        if deployment and due:
            _keep(live, deployment, {name: found[name].live for name in due})
        for name, content in due.items():
            live.write(name, content, MODES[name])
        same = {name: found[name].sealed or b"" for name in _of(found, SAME)}
        _remember(live, {**same, **due})
    return [*env, *due]


def take_back(context: Context, deployment: str) -> list[str]:
    """Put back what `open_sealed` replaced in this deployment, if it did; returns the names."""
    if not (folders.secrets(context) / FORMER).exists():
        return []
    with opened(folders.secrets(context), create=True) as live, live.locked():
        kept = json.loads(live.read(FORMER) or b"{}")
        if kept.get("deployment") != deployment:
            return []
        for name, content in kept["files"].items():
            if content is not None:
                live.write(name, base64.b64decode(content), MODES[name])
            elif live.stat(name):
                live.remove(name)
        live.write(KNOWN, json.dumps(kept["known"]).encode(), OWNER_ONLY)
        live.remove(FORMER)
    return list(kept["files"])


@contextmanager
def _both(context: Context, folder: Path) -> Iterator[tuple[Store, Store]]:
    """The secret files and those of git, both of them ours alone meanwhile."""
    if not (folder / RECIPIENTS).is_file():
        fix = "make update ANSWER=secrets=age"
        raise Refused(Problem(f"{FOLDER}/{RECIPIENTS}", "is missing: secrets are not kept in git here", fix))
    with (
        opened(folders.secrets(context), create=True) as live,
        opened(folder, create=False) as sealed,
        live.locked(),
    ):
        live.clear_leftovers()
        sealed.clear_leftovers()
        yield live, sealed


def _look(context: Context, live: Store, sealed: Store, keys: list[str]) -> dict[str, Secret]:
    known, found = _known(live), {}
    for name in (*MODES, ENV):
        here = _env(context) if name == ENV else live.read(name)
        try:
            there = _decrypted(sealed, name, keys)
        except Refused:
            found[name] = Secret(LOCKED, here, None)
            continue
        if here is not None or there is not None:
            had = [_digest(there or b"")] if name == ENV else known.get(name, [])
            found[name] = Secret(_state(here, there, had), here, there)
    return found


def _state(here: bytes | None, there: bytes | None, known: list[str]) -> str:
    if there is None:
        return NEW
    if here == there:
        return SAME
    if here is None:
        return GIT
    if _digest(there) in known:
        return HOST
    return GIT if not here or _digest(here) in known else BOTH


def _refusal(name: str, one: Secret, force: bool) -> Problem | None:
    """Why this one must not be opened."""
    field = f"{FOLDER}/{name}{END}"
    if one.state == LOCKED:
        fix = f"{OPEN} --identity FILE with the owner's key; is the file whole? git log -- {field}"
        return Problem(field, "cannot be decrypted with this key, or is damaged", fix)
    if one.state == BOTH and not force:
        return Problem(field, BOTH, f"{OPEN} --force takes git's, seal --force this host's", value=name)
    if one.state == GIT and one.live and name in DATABASE_PASSWORDS and not force:
        fix = f".venv/bin/mailctl secrets rotate {name}, then {SEAL}"
        return Problem(field, "differs from the password that the database knows", fix, value=name)
    return None


def _refuse_strangers(folder: Path) -> None:
    """A name that nothing here reads is a typing error, or newer than this version."""
    names = [path.name for path in folder.glob(f"*{END}")]
    if strange := [name for name in names if name.removesuffix(END) not in {*MODES, ENV}]:
        raise Refused(
            *(Problem(f"{FOLDER}/{n}", "is no secret of this version", "remove it") for n in strange)
        )


def _of(found: Mapping[str, Secret], *states: str) -> list[str]:
    return [name for name, one in found.items() if one.state in states]


def _decrypted(sealed: Store, name: str, keys: list[str]) -> bytes | None:
    content, target = sealed.read(f"{name}{END}"), io.BytesIO()
    if content is None:
        return None
    encryption.decrypt(io.BytesIO(content), target, keys)
    return target.getvalue()


def _env(context: Context) -> bytes | None:
    """What somebody wrote into .env; None for one that is still as its example."""
    example = context.repo / ".env.example"
    content = context.env_path.read_bytes() if context.env_path.is_file() else None
    return None if example.is_file() and example.read_bytes() == content else content


def _open_env(context: Context, folder: Path, keys: list[str], force: bool) -> list[str]:
    """First, since it says where the secrets are; only where nobody has written one."""
    with opened(folder, create=False) as sealed, opened(context.env_path.parent, create=False) as root:
        here = _env(context)
        there = _decrypted(sealed, ENV, keys) if here is None or force else None
        if there is None or there == here:
            return []
        root.write(context.env_path.name, there, 0o600)
    context.__dict__.pop("env_file", None)  # read again
    return [ENV]


def _lines(sealed: Store) -> list[str]:
    return (sealed.read(RECIPIENTS) or b"").decode("utf-8", "replace").splitlines()


def _listed(sealed: Store) -> list[str]:
    return [line.strip() for line in _lines(sealed) if line.strip() and not line.startswith("#")]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _known(live: Store) -> dict[str, list[str]]:
    """The digests of what each file has held here, newest last."""
    return dict(json.loads(live.read(KNOWN) or b"{}"))


def _remember(live: Store, contents: Mapping[str, bytes]) -> None:
    known = before = _known(live)
    for name, content in contents.items():
        had = [each for each in known.get(name, []) if each != _digest(content)]
        known = {**known, name: [*had, _digest(content)][-REMEMBERED:]}
    if known != before:
        live.write(KNOWN, json.dumps(known).encode(), OWNER_ONLY)


def _keep(live: Store, deployment: str, former: Mapping[str, bytes | None]) -> None:
    """What there was, before anything is replaced."""
    files = {name: None if old is None else base64.b64encode(old).decode() for name, old in former.items()}
    kept = {"deployment": deployment, "files": files, "known": _known(live)}
    live.write(FORMER, json.dumps(kept).encode(), OWNER_ONLY)
