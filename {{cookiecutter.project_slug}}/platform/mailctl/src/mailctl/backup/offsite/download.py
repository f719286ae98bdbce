"""Brings a snapshot back from S3 as a folder that restore treats like any other.

Whoever may write to the bucket is an enemy here: nothing is created before the manifest's signature, every
path and every link was judged, and nothing is written through a link.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryFile

from mailctl.backup.offsite import copies, index, packs
from mailctl.backup.offsite.copies import Remote
from mailctl.backup.offsite.index import Index
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.packs import File
from mailctl.core import aws, disks, encryption, folders, signing
from mailctl.core import snapshot_manifest as manifest
from mailctl.core import snapshots as snapshot
from mailctl.core.aws import Access
from mailctl.core.context import Context
from mailctl.core.descriptors import open_directory, opened
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshot_manifest import COMPONENTS
from mailctl.core.snapshots import Progress, Snapshot

SEE = ".venv/bin/mailctl sync --list shows what is there"


@dataclass(frozen=True)
class Which:
    """What of a copy is wanted: components, and of mail only one mailbox (an address)."""

    components: frozenset[str] = frozenset(COMPONENTS)
    mailbox: str | None = None

    def wants(self, path: str) -> bool:
        if path == manifest.FILE:
            return True
        component = "mail" if path == manifest.MAIL_INDEX else path.split("/")[0]
        if component == "mail" and self.mailbox and path != manifest.MAIL_INDEX:
            user, _, domain = self.mailbox.partition("@")
            return component in self.components and path.startswith(f"mail/{domain}/{user}/")
        return component in self.components


def fetch(
    context: Context,
    uri: str,
    target: Path,
    components: Iterable[str] = COMPONENTS,
    mailbox: str | None = None,
    identity: Path | None = None,
    progress: Progress | None = None,
    by: Access | None = None,
    before: datetime | None = None,
    unsigned: bool = False,
) -> Snapshot:
    """Write the snapshot at `uri` into `target`/daily/2026-11-26 and check every file of it.

    `components` and `mailbox` (an address) limit what is fetched to what they need. `identity` is the owner's
    age key; without it the host's own. Raises Misuse for an address that is none, Refused when anything is
    missing, damaged, not signed (but for `unsigned`) or has no room; then `target` is as it was. Of a fetch
    that was interrupted, or that S3 did not answer to its end, all that is whole is kept for the next one.
    """
    place, id, version = copies.parse(context, uri)
    bucket = Bucket(aws.client(context, place, by), place, signers=signing.trusted(context, identity))
    keys, which = encryption.identities(context, identity), Which(frozenset(components), mailbox)
    found, passed = copies.chosen(bucket, id, version, before, unsigned)
    for problem in passed:
        context.out.warn(f"{problem.field}: {problem.wrong}; not taken")
    with _partial(target, found.id) as folder, Index(folder.parent) as content:
        content.load(bucket, found, keys)
        _fetch(context, _Fetch(bucket, content, found, keys, folder, which), progress)
    return snapshot.read(target / found.id)


@contextmanager
def _partial(target: Path, id: str) -> Iterator[Path]:
    """The folder in which a snapshot grows, put in its place at the end. Interrupted, it stays."""
    partial = target / f".{id.replace('/', '-')}.partial"
    if (target / id).exists():
        wrong, place = "is there already", str(target / id)
        raise Refused(Problem("snapshot", wrong, "choose an empty folder", value=place))
    for other in set(target.glob(".*.partial")) - {partial}:
        shutil.rmtree(other)
    try:
        yield folders.private(partial / id)
        folders.private((target / id).parent)
        (partial / id).replace(target / id)
    except aws.Unreachable:
        raise  # what is there is gone on with
    except (Refused, OSError):
        shutil.rmtree(partial)
        raise
    shutil.rmtree(partial)


@dataclass(frozen=True)
class _Fetch:
    bucket: Bucket
    index: Index
    found: Remote
    keys: list[str]
    folder: Path
    which: Which


def _fetch(context: Context, run: _Fetch, progress: Progress | None) -> None:
    """Judge all names, then write."""
    index.judge(run.index, {})
    run.index.note_there(_kept(run))
    _write(run, frozenset({manifest.FILE}), None)
    links = dict(manifest.load(run.folder).links)
    index.judge(run.index, links)
    _need_room(context, run)
    _write(run, None, progress)
    _complete(run, links)
    _check(snapshot.read(run.folder), run.which)


def _kept(run: _Fetch) -> Iterator[str]:
    """What an interrupted fetch has left, file by file compared with its checksum; the rest of it goes."""
    for above, below, names in os.walk(run.folder, topdown=False):
        for path in (Path(above) / name for name in (*below, *names)):
            name = str(path.relative_to(run.folder))
            file = run.index.file(name)
            if path.is_symlink():
                path.unlink()
            elif path.is_dir():
                with suppress(OSError):  # it is not empty
                    path.rmdir()
            elif file and run.which.wants(name) and manifest.file_digest(path) == file.sha:
                packs.date(path, file)
                yield name
            else:
                path.unlink()


def _wanted(run: _Fetch, only: frozenset[str] | None) -> Iterator[tuple[str, File]]:
    """Pack and file, by pack and content, of what is not there yet."""
    rows = run.index.rows(
        "SELECT pack, had.* FROM had LEFT JOIN packs USING (sha)"
        " WHERE path NOT IN (SELECT path FROM there) ORDER BY pack, sha"
    )
    for pack, path, *rest in rows:
        file = File(index.path_of(path), *rest)
        if file.path in only if only else run.which.wants(file.path) and file.path != manifest.FILE:
            yield pack, file


def _need_room(context: Context, run: _Fetch) -> None:
    """Say what is needed, and where, before anything is fetched. Raises Refused."""
    size, largest, mailbox = 0, max((entry.size for entry in run.found.objects.values()), default=0), False
    for _, file in _wanted(run, None):
        size += disks.on_disk(file.size)
        mailbox = mailbox or file.path.startswith("mail/")
    if run.which.mailbox and not mailbox and not (run.folder / "mail").exists():
        wrong = f"{run.found.id} has none of this address"
        raise Refused(Problem("mailbox", wrong, SEE, value=run.which.mailbox))
    # A pack, and what it holds once it is decrypted, lie beside the files until these are written.
    disks.need(context, f"fetching {run.found.id}", {run.folder.parents[2]: size + 2 * largest})


def _write(run: _Fetch, only: frozenset[str] | None, progress: Progress | None) -> None:
    """Read the packs that hold the wanted files, each once. Raises Refused for one that lacks any."""
    for name, rows in groupby(_wanted(run, only), key=lambda row: row[0]):
        files: dict[str, list[File]] = {}
        for _, file in rows:
            files.setdefault(file.sha, []).append(file)
        if name not in run.found.objects:
            raise _lacking(next(iter(files.values()))[0].path)
        with TemporaryFile(dir=run.folder.parent) as pack:
            run.bucket.get_data(name, pack, run.found.objects[name].size)
            pack.seek(0)
            written = packs.extract(pack, run.keys, files, run.folder)
        for file in (each for same in files.values() for each in same):
            if not (run.folder / file.path).exists():
                raise _lacking(file.path)
        if progress:
            progress(sum(map(len, files.values())), written)


def _lacking(path: str) -> Refused:
    wrong = f"the packs lack files that the index names, such as {path}"
    return Refused(Problem("snapshot", wrong, f"use another one: {SEE}"))


def _complete(run: _Fetch, links: dict[str, str]) -> None:
    """What follows from the rest: empty folders, the list of checksums of all mail, and last the links."""
    if "mail" not in run.which.components:
        return
    if not (run.folder / manifest.MAIL_INDEX).exists():
        with (run.folder / manifest.MAIL_INDEX).open("xb") as file:
            file.writelines(run.index.mail_index())
    for (found,) in run.index.rows("SELECT path FROM folders"):
        if run.which.wants(f"{index.path_of(found)}/"):
            (run.folder / index.path_of(found)).mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = {path: goal for path, goal in links.items() if run.which.wants(path)}
    for path in wanted:
        (run.folder / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with opened(run.folder) as root:
        for path, goal in wanted.items():
            above, _, name = path.rpartition("/")
            fd = open_directory(root or 0, above)  # follows no link
            if fd is None:
                raise _lacking(above)
            try:
                os.symlink(goal, name, dir_fd=fd)
            finally:
                os.close(fd)


def _check(found: Snapshot, which: Which) -> None:
    """Compare with the snapshot's own manifest; files of a single mailbox were compared while written."""
    names = [
        name for name in COMPONENTS if name in which.components and not (name == "mail" and which.mailbox)
    ]
    if problems := snapshot.verify(found, names):
        raise Refused(*problems[:20])
