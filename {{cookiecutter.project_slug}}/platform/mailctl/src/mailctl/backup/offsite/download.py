"""Brings a snapshot back from S3 as a folder that restore treats like any other."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from mailctl.backup import manifest, snapshot
from mailctl.backup.manifest import COMPONENTS
from mailctl.backup.offsite import access, index, packs
from mailctl.backup.offsite.access import LATEST, Access
from mailctl.backup.offsite.index import Index
from mailctl.backup.offsite.objects import Bucket
from mailctl.backup.offsite.packs import File
from mailctl.backup.offsite.upload import manifests, read
from mailctl.backup.snapshot import Progress, Snapshot
from mailctl.core import encryption
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

SEE = ".venv/bin/mailctl sync --list shows what is there"


def fetch(
    context: Context,
    uri: str,
    target: Path,
    components: Iterable[str] = COMPONENTS,
    mailbox: str | None = None,
    identity: Path | None = None,
    progress: Progress | None = None,
    by: Access | None = None,
) -> Snapshot:
    """Write the snapshot at `uri` into `target`/daily/2026-11-26 and check every file of it.

    `components` and `mailbox` (an address) limit what is fetched to what they need. `identity` is the owner's
    age key; without it the host's own. Raises Misuse for an address that is none, Refused when anything is
    missing or damaged; then `target` is as it was.
    """
    place, id, version = access.parse(context, uri)
    bucket = Bucket(access.client(context, place, by), place)
    keys = encryption.identities(context, identity)
    found = read(bucket, f"{_newest(bucket) if id == LATEST else id}/manifest.json", version)
    content = index.load(bucket, found.chain, keys)
    chosen = set(components)
    wanted = [file for path, file in content.files.items() if _is_wanted(path, chosen, mailbox)]
    if mailbox and not any(file.path.startswith("mail/") for file in wanted):
        raise Refused(Problem("mailbox", f"{found.id} has none of this address", SEE, value=mailbox))
    folder, partial = target / found.id, target / f".{found.id.replace('/', '-')}.partial" / found.id
    if folder.exists():
        raise Refused(Problem("snapshot", "is there already", "choose an empty folder", value=str(folder)))
    shutil.rmtree(partial.parents[1], ignore_errors=True)
    partial.mkdir(mode=0o700, parents=True)
    try:
        _write(bucket, content, wanted, partial, keys, progress)
        _complete(content, partial, chosen, mailbox)
        _check(snapshot.read(partial), chosen, mailbox)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial.parents[1], ignore_errors=True)
    return snapshot.read(folder)


def _newest(bucket: Bucket) -> str:
    found = [key.removesuffix("/manifest.json") for key in manifests(bucket)]
    if not found:
        wrong = "there is no copy of any snapshot"
        raise Refused(
            Problem("S3", wrong, "check BACKUP_BUCKET and BACKUP_PREFIX in .env", value=bucket.place.uri)
        )
    return max(found, key=lambda id: (id.split("/")[1], id.startswith("daily")))


def _is_wanted(path: str, components: set[str], mailbox: str | None) -> bool:
    if path == manifest.FILE:
        return True
    component = "mail" if path == manifest.MAIL_INDEX else path.split("/")[0]
    if component == "mail" and mailbox and path != manifest.MAIL_INDEX:
        user, _, domain = mailbox.partition("@")
        return component in components and path.startswith(f"mail/{domain}/{user}/")
    return component in components


def _write(
    bucket: Bucket,
    content: Index,
    wanted: list[File],
    folder: Path,
    keys: list[str],
    progress: Progress | None,
) -> None:
    """Read the packs that hold the wanted files, each once."""
    by_pack: dict[str, dict[str, list[File]]] = {}
    for file in wanted:
        by_pack.setdefault(content.packs[file.sha], {}).setdefault(file.sha, []).append(file)
    for name, files in sorted(by_pack.items()):
        with TemporaryFile(dir=folder.parent) as pack:
            bucket.get_data(name, pack)
            pack.seek(0)
            written = packs.extract(pack, keys, files, folder)
        if progress:
            progress(sum(map(len, files.values())), written)
    if missing := [file.path for file in wanted if not (folder / file.path).exists()]:
        wrong = f"the packs lack {len(missing)} files that the index names, such as {missing[0]}"
        raise Refused(Problem("snapshot", wrong, f"use another one: {SEE}"))


def _complete(content: Index, folder: Path, components: set[str], mailbox: str | None) -> None:
    """What follows from the rest: empty folders, links, and the list of checksums of all mail."""
    if "mail" not in components:
        return
    if not (folder / manifest.MAIL_INDEX).exists():
        mail = {path: file.sha for path, file in content.files.items() if path.startswith("mail/")}
        (folder / manifest.MAIL_INDEX).write_bytes(packs.mail_index(mail))
    for path in content.folders:
        if _is_wanted(f"{path}/", components, mailbox):
            (folder / path).mkdir(mode=0o700, parents=True, exist_ok=True)
    for path, target in manifest.load(folder).links.items():
        if index.stays_inside(path) and _is_wanted(path, components, mailbox):
            (folder / path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.symlink(target, folder / path)


def _check(found: Snapshot, components: set[str], mailbox: str | None) -> None:
    """Compare with the snapshot's own manifest; files of a single mailbox were compared while written."""
    whole = [name for name in COMPONENTS if name in components and not (name == "mail" and mailbox)]
    if problems := snapshot.verify(found, whole):
        raise Refused(*problems[:20])
