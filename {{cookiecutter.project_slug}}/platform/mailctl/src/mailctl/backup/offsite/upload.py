"""Copies snapshots to S3: only content that is not there yet, packed, encrypted, locked, the manifest last.

Where it stands is kept beside each pack in HDD_PATH/.mailctl/offsite: a run that was broken off goes on.
"""

import fcntl
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from mailctl.backup import manifest, snapshot
from mailctl.backup.offsite import access, bucket, index, packs
from mailctl.backup.offsite.index import Index, Remote
from mailctl.backup.offsite.objects import Bucket, Entry, checksum, now
from mailctl.backup.snapshot import Snapshot
from mailctl.core import encryption, folders, job_results
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

LONGEST_DAYS = 36500  # S3's own limit
Progress = Callable[[str, int, int], None]
"""Told what is being done, and how many bytes of how many are done."""


@dataclass
class Journal:
    """A pack in the working folder: what it holds, the id of its upload in parts, and whether S3 has it."""

    entry: Entry
    blobs: list[str]
    upload: str | None = None
    done: bool = False


@dataclass
class Report:
    """What a run did: ids of the snapshots copied, bytes that travelled, objects locked for longer."""

    copied: list[str] = field(default_factory=list)
    sent: int = 0
    renewed: int = 0
    newest: str | None = None


def limit(context: Context) -> int:
    """BACKUP_BANDWIDTH in bytes a second, such as 500K or 2M; 0: none. Raises Refused."""
    text = context.setting("BACKUP_BANDWIDTH", "0").strip()
    found = re.fullmatch(r"(\d+)([KMG]?)", text, re.IGNORECASE)
    if not found:
        fix = "write bytes a second, such as 500K or 2M, or nothing for no limit"
        raise Refused(Problem("BACKUP_BANDWIDTH", "is not a number of bytes", fix, value=text))
    size: int = int(found[1]) * 1024 ** ("KMG".find(found[2].upper()) + 1 if found[2] else 0)
    return size


def upload(context: Context, progress: Progress = lambda *_: None) -> Report:
    """Copy every good snapshot that is not in S3 yet. Raises Refused; what was done until then counts."""
    place = access.place(context)
    rate, recipients = limit(context), encryption.recipients(context)
    s3 = access.client(context, place)
    days = bucket.lock_days(s3, place)
    with _working_folder(context) as folder:
        run = Upload(
            Bucket(s3, place, rate), folder, days, recipients, encryption.identities(context), progress
        )
        wanted = run.missing([each for each in snapshot.every(folders.hdd(context)) if each.good])
        for each in wanted:
            run.copy(each)
        run.report.sent = run.bucket.sent
        return run.report


@dataclass
class Upload:
    """One run: the bucket, the folder to work in, the bucket's lock in days, and for whom to encrypt.

    `index`, `chain` and `objects` are those of the newest copy, as far as S3 still has its data.
    """

    bucket: Bucket
    folder: Path
    days: int
    recipients: list[str]
    identities: list[str]
    progress: Progress
    report: Report = field(default_factory=Report)
    index: Index = field(default_factory=Index)
    chain: list[str] = field(default_factory=list)
    objects: dict[str, Entry] = field(default_factory=dict)

    def missing(self, good: list[Snapshot]) -> list[Snapshot]:
        """Those not in S3 with the same content; and load what the newest copy there consists of."""
        there = manifests(self.bucket)
        if there:
            self._load(there[-1])
        found = []
        for each in good:
            key = f"{each.id}/manifest.json"
            if key in there and read(self.bucket, key).snapshot == _digest(each):
                self.report.newest = each.id
            else:
                found.append(each)
        return found

    def _load(self, key: str) -> None:
        """The newest copy. What S3 hides or has cut is uploaded again."""
        try:
            last = read(self.bucket, key)
            self.index = index.load(self.bucket, last.chain, self.identities)
        except access.Unreachable:
            raise
        except Refused:
            return  # another host's, hidden or damaged: this run begins with a whole copy of its own
        if not set(self.recipients) <= set(last.recipients):
            self.index = Index()  # a new key opens none of the old packs, so it gets a whole copy
            for path in self.folder.glob("[!.]*"):
                path.unlink()
            return
        sizes = {
            name.removeprefix("data/"): each["Size"] for name, each in self.bucket.objects("data/").items()
        }
        for name in last.objects:  # a run that was killed once it had published this copy
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        self.objects = {n: e for n, e in last.objects.items() if sizes.get(n) == e.size}
        self.index.packs = {sha: pack for sha, pack in self.index.packs.items() if pack in self.objects}
        self.chain = last.chain if self.objects.keys() >= set(last.chain) else []

    def copy(self, found: Snapshot) -> None:
        """Upload what the snapshot needs, lock it long enough, and put its manifest there last."""
        files = packs.listing(found)
        self._go_on({file.sha for file in files})
        have = {sha for _, journal in self._journals() for sha in journal.blobs} | self.index.packs.keys()
        new = {file.sha: file for file in files if file.sha not in have}
        done, total = 0, sum(file.size for file in new.values())
        for group in packs.groups(new.values()):
            self.progress(f"copying {found.id}", done, total)
            self._take(packs.build(self.folder, found, group, self.recipients), [file.sha for file in group])
            done += sum(file.size for file in group)
        self.progress(f"copying {found.id}", total, total)
        self._finish(found, files)
        for path in self.folder.glob("*.json"):
            path.unlink()

    def _go_on(self, needed: set[str]) -> None:
        """Packs that an earlier run has begun to send: send the rest of those that are still of use."""
        for name, journal in list(self._journals()):
            if not journal.done and needed.intersection(journal.blobs):
                self._send(name)
            elif not journal.done:
                (self.folder / name).unlink()
                (self.folder / f"{name}.json").unlink()

    def _finish(self, found: Snapshot, files: list[packs.File]) -> None:
        journals = dict(self._journals())
        held = self.index.packs | {sha: name for name, each in journals.items() for sha in each.blobs}
        folders = packs.empty_folders(found)
        after = Index(
            {each.path: each for each in files}, {each.sha: held[each.sha] for each in files}, folders
        )
        known = self.objects | {name: each.entry for name, each in journals.items()}
        if not self.chain or index.worn([known[name].size for name in self.chain]):
            self.chain, self.index = [], Index()
        made = self._take(index.write(self.folder, self.index, after, self.recipients), [])
        needed = {name: known[name] for name in [*sorted(set(after.packs.values())), *self.chain]}
        self.objects = {**self._locked(needed), made: self._journal(made).entry}
        self.chain, self.index = [*self.chain, made], after
        self._publish(found, sum(each.size for each in files))

    def _publish(self, found: Snapshot, size: int) -> None:
        made = Remote(
            id=found.id,
            snapshot=_digest(found),
            taken=found.taken.isoformat(),
            uploaded=now().isoformat(),
            lock_days=self.days,
            bytes=size,
            chain=self.chain,
            objects=self.objects,
            recipients=self.recipients,
        )
        self.bucket.put_text(f"{found.id}/manifest.json", made.text())
        self.report.copied.append(found.id)
        self.report.newest = found.id

    def _locked(self, objects: dict[str, Entry]) -> dict[str, Entry]:
        """The same, each locked for at least as long as the snapshot that is being copied."""
        most = self._until()
        for name, entry in objects.items():
            if not self._enough(entry):
                self.bucket.lock(name, most)
                objects[name] = replace(entry, until=most.isoformat())
                self.report.renewed += 1
        return objects

    def _enough(self, entry: Entry) -> bool:
        """Whether its lock outlasts that of a snapshot that is published within the next hour."""
        return datetime.fromisoformat(entry.until) >= now() + timedelta(days=self.days, hours=1)

    def _until(self) -> datetime:
        """Twice the bucket's lock, so that an object is locked again only once in that time."""
        return now() + timedelta(days=min(2 * self.days, LONGEST_DAYS))

    def _take(self, path: Path, blobs: list[str]) -> str:
        """Note a pack of the working folder and send it; its name."""
        size = path.stat().st_size
        with path.open("rb") as file:
            entry = Entry(size, checksum(file, size), self._until().isoformat())
        self._keep(path.name, Journal(entry, blobs))
        self._send(path.name)
        return path.name

    def _send(self, name: str) -> None:
        """Upload a pack of the working folder, or go on with it, and then forget its bytes."""
        journal = self._journal(name)
        if not self._enough(journal.entry):  # begun long ago: the bucket would refuse so short a lock
            journal = Journal(replace(journal.entry, until=self._until().isoformat()), journal.blobs)

        def begun(upload: str) -> None:
            self._keep(name, replace(journal, upload=upload))

        self.bucket.put(name, self.folder / name, journal.entry, journal.upload, begun)
        self._keep(name, replace(journal, done=True))
        (self.folder / name).unlink()

    def _journals(self) -> Iterator[tuple[str, Journal]]:
        for path in sorted(self.folder.glob("*.json")):
            yield path.stem, self._journal(path.stem)

    def _journal(self, name: str) -> Journal:
        document = json.loads((self.folder / f"{name}.json").read_bytes())
        return Journal(**{**document, "entry": Entry(**document["entry"])})

    def _keep(self, name: str, journal: Journal) -> None:
        beside = self.folder / "new.partial"
        with beside.open("w", encoding="utf-8") as file:
            json.dump(asdict(journal), file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / f"{name}.json")


def manifests(bucket: Bucket) -> list[str]:
    """The keys of the copies in S3, the one that was uploaded last at the end."""
    found = {**bucket.objects("daily/"), **bucket.objects("weekly/")}
    keys = [key for key in found if key.endswith("/manifest.json")]
    # Times in S3 are whole seconds.
    return sorted(
        keys, key=lambda key: (found[key]["LastModified"], key.split("/")[1], key.startswith("daily"))
    )


def read(bucket: Bucket, key: str, version: str | None = None) -> Remote:
    """The manifest under a key. Raises Refused."""
    text = BytesIO()
    bucket.get(key, text, version)
    return index.remote(text.getvalue(), key)


def _digest(found: Snapshot) -> str:
    return manifest.file_digest(found.path / manifest.FILE)


@contextmanager
def _working_folder(context: Context) -> Iterator[Path]:
    """The folder of packs on their way, cleaned of broken ones, for one run at a time and while it lives.

    Not the lock of backups: an upload may take days, and the next backup must not wait for it.
    """
    folder = folders.hdd(context) / job_results.FOLDER / "offsite"
    folders.private(folder)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wrong, fix = "another mailctl sync is copying", "wait until it is done"
            raise Refused(Problem("sync", wrong, fix, value=str(folder))) from None
        _clean(folder)
        yield folder


def _clean(folder: Path) -> None:
    """Keep whole packs with their notes, and nothing else that a killed run left."""
    kept = {note.stem for note in folder.glob("*.json") if _usable(note)}
    for path in folder.iterdir():
        if path.stem not in kept and path.name != ".lock":
            path.unlink()


def _usable(note: Path) -> bool:
    """Whether S3 has the pack, or its bytes are here and are what its name says."""
    with suppress(OSError, ValueError, KeyError):
        return (
            json.loads(note.read_bytes())["done"] or manifest.file_digest(note.with_suffix("")) == note.stem
        )
    return False
