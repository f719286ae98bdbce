"""Makes every secret file that is not there yet, and touches nothing that is."""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from mailctl.core.client_host import client_host
from mailctl.core.context import Context
from mailctl.core.env_file import open_to_others
from mailctl.core.errors import Problem, Refused
from mailctl.core.hosts import several
from mailctl.secret_files.inputs import Given, read_given
from mailctl.secret_files.rules import PASSWORD
from mailctl.secret_files.store import Store, opened
from mailctl.secret_files.table import ENTRIES, SOURCES, Derived, Inputs, Source, Used, used

KEPT, TAKEN, MADE, EMPTY, FOLLOWED = "kept", "taken from .env", "made", "left empty", "follows its source"


@dataclass
class Report:
    """What happened to each file, in the table's order, and what the operator should hear about it."""

    folder: Path
    actions: dict[str, str] = field(default_factory=dict)
    existed: set[str] = field(default_factory=set)
    fixed_modes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    differing: list[Source] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    leftover: list[str] = field(default_factory=list)

    @property
    def changed(self) -> list[str]:
        return [name for name, action in self.actions.items() if action not in (KEPT, EMPTY)]

    def readers_to_restart(self) -> list[str]:
        """Services that may still hold what a file said before; none when the file was not there before."""
        stale = [e for e in ENTRIES if e.file in self.existed and e.file in self.changed]
        return list(dict.fromkeys(reader for entry in stale for reader in entry.readers))


def initialise(context: Context, folder: Path, extra: Mapping[str, bytes] | None = None) -> Report:
    """Bring `folder` into the state the table describes and report what was done.

    `extra` gives values for variables that `.env` leaves empty. Raises Refused before anything is written
    when `.env` or an existing file cannot be used.
    """
    given = read_given(context)
    report, wanted = Report(folder), used(several(context))
    with opened(folder, create=True) as store, store.locked():
        store.clear_leftovers()
        if store.tighten():
            report.warnings.append(f"{folder} was open to other users of this host; it is 0700 now")
        existing = _existing(store, wanted)
        report.existed = {name for name, content in existing.items() if content is not None}
        values = {**(extra or {}), **given.values}
        secrets = _write_sources(store, wanted.sources, existing, values, report)
        names = given.host_names, client_host(context)
        inputs = Inputs(secrets, context.slug, *names, shards=_shards(context))
        _write_derived(store, wanted.derived, existing, inputs, report)
        _fix_modes(store, report)
    _judge_env_file(context, given, report)
    _judge_database(context, report)
    return report


def _shards(context: Context) -> tuple[str, ...]:
    """Those of nodes.yml; none on one host, or while it cannot be read, which mailctl node says."""
    import yaml

    try:
        rows = yaml.safe_load((context.repo / "nodes.yml").read_text("utf-8"))["nodes"]
        return tuple(sorted({str(row["shard"]) for row in rows if row.get("shard") is not None}))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return ()


def _existing(store: Store, wanted: Used) -> dict[str, bytes | None]:
    """Every file's content as it stands; refuses as a whole if one of them cannot be what it must be."""
    found: dict[str, bytes | None] = {}
    problems: list[Problem] = []
    for entry in wanted.entries:
        try:
            found[entry.file] = store.read(entry.file)
        except Refused as refusal:
            problems.extend(refusal.problems)
    needed = {name for entry in wanted.derived for name in entry.sources if found.get(name)}
    problems += [p for name in sorted(needed) if (p := _unusable_source(store, name, found[name] or b""))]
    if problems:
        raise Refused(*problems)
    return found


def _unusable_source(store: Store, name: str, content: bytes) -> Problem | None:
    """A source that other files are made from must be of its kind, or what is made would be broken."""
    from mailctl.secret_files.certificates import is_private_key

    if name.endswith(".key"):
        good, kind = is_private_key(content), "an unencrypted EC private key in PEM"
    elif name.endswith(".crt"):
        return None  # itself derived: replaced when it does not fit
    else:
        text = content.decode("utf-8", "replace").strip()
        good, kind = PASSWORD.complaint(text) is None, f"at least {PASSWORD.minimum} of: {PASSWORD.words}"
    if good:
        return None
    return Problem(
        field=name,
        value=f"{store.path / name} (content not shown)",
        wrong=f"does not hold {kind}; other files are made from it",
        fix="put the right one back from a backup, or empty the file to get a new one",
        next="make setup",
    )


def _write_sources(
    store: Store,
    sources: tuple[Source, ...],
    existing: Mapping[str, bytes | None],
    values: Mapping[str, bytes],
    report: Report,
) -> dict[str, bytes]:
    secrets: dict[str, bytes] = {}
    for source in sources:
        now, chosen = existing[source.file], values.get(source.variable or "")
        if now:
            secrets[source.file], report.actions[source.file] = now, KEPT
            if chosen and chosen not in now.split():
                report.differing.append(source)
            continue
        content, action = _content_for(source, chosen)
        if now is None or content:
            store.write(source.file, content, source.mode)
        secrets[source.file], report.actions[source.file] = content, action
        if action == TAKEN and source.variable:
            report.taken.append(source.variable)
    return secrets


def _content_for(source: Source, chosen: bytes | None) -> tuple[bytes, str]:
    if chosen:
        return chosen, TAKEN
    return (source.make(), MADE) if source.make else (b"", EMPTY)


def _write_derived(
    store: Store,
    derived: tuple[Derived, ...],
    existing: Mapping[str, bytes | None],
    inputs: Inputs,
    report: Report,
) -> None:
    secrets = dict(inputs.secrets)
    for entry in derived:
        now = existing[entry.file] or b""
        content = entry.build(now, replace(inputs, secrets=secrets))
        if content != now:
            store.write(entry.file, content, entry.mode)
        secrets[entry.file] = content
        report.actions[entry.file] = KEPT if content == now else FOLLOWED if now else MADE
        report.warnings += _uncovered(entry, content, inputs.host_names)


def _uncovered(entry: Derived, content: bytes, names: tuple[str, ...]) -> list[str]:
    """A certificate that is kept may lack a name that `.env` has gained since."""
    from mailctl.secret_files.certificates import covered_names, parse

    certificate = parse(content) if entry.host_names else None
    missing = sorted(set(names) - covered_names(certificate)) if certificate else []
    if not missing:
        return []
    fix = f"for a new one empty {entry.file} and run make setup"
    return [f"{entry.file} does not carry {', '.join(missing)}; {fix}"]


def _fix_modes(store: Store, report: Report) -> None:
    for entry in ENTRIES:
        found = store.stat(entry.file)
        if found and stat.S_IMODE(found.st_mode) != entry.mode:
            store.set_mode(entry.file, entry.mode)
            report.fixed_modes.append(entry.file)


def _judge_env_file(context: Context, given: Given, report: Report) -> None:
    report.leftover = list(given.values)
    path = context.env_path
    if not open_to_others(path):
        return
    try:
        path.chmod(0o600)
        report.warnings.append(f"{path.name} was open to other users of this host; it is 0600 now")
    except OSError as error:
        report.warnings.append(f"{path.name} is open to other users and cannot be closed: {error.strerror}")


def _judge_database(context: Context, report: Report) -> None:
    """A new password does not open a database that was set up with the lost one."""
    made = [n for n, action in report.actions.items() if n.endswith("_password") and action in (MADE, TAKEN)]
    data = context.folder("SSD_PATH", ".") / "mariadb" if context.setting("SSD_PATH") else None
    # The account of the ledger is made where one host becomes several (config/mariadb/member/start.sh).
    later = () if data and (data / "galera").is_dir() else ("ledger_db_password",)
    affected = [s.file for s in SOURCES if s.file in made and "mariadb" in s.readers and s.file not in later]
    try:
        has_data = data is not None and any(data.iterdir())
    except OSError:
        return
    if has_data and affected:
        report.warnings.append(
            f"a database already exists in {data}, and it does not know the new {', '.join(affected)}: "
            "put the old files back from a backup, or set the new passwords there with ALTER USER"
        )
