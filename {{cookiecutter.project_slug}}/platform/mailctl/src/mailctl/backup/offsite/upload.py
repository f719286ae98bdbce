"""Copies snapshots to S3: only content that is not there yet, packed, encrypted, locked, the manifest last.

Where it stands is kept beside each pack in HDD_PATH/.mailctl/offsite: a run that was broken off goes on.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mailctl.backup.offsite import bucket, index, packs, watch
from mailctl.backup.offsite.copies import LAST, Remote, manifests, read
from mailctl.backup.offsite.index import Index
from mailctl.backup.offsite.objects import Bucket, Entry, Progress, checksum, now
from mailctl.backup.offsite.working import Journal, Working, put_data, put_manifest, working
from mailctl.core import aws, encryption, folders, signing
from mailctl.core import snapshot_manifest as manifest
from mailctl.core import snapshots as snapshot
from mailctl.core.context import Context
from mailctl.core.disk_locks import held
from mailctl.core.errors import Problem, Refused
from mailctl.core.snapshots import Snapshot

LONGEST_DAYS = 36500  # S3's own limit
TRIES = 3


class Replaced(Refused):
    """The snapshot was taken again, or removed, while it was copied."""


@dataclass
class Report:
    """What a run did: ids of the snapshots copied, bytes that travelled, objects locked for longer; and what
    somebody else did in the bucket.
    """

    copied: list[str] = field(default_factory=list)
    sent: int = 0
    renewed: int = 0
    newest: str | None = None
    findings: list[Problem] = field(default_factory=list)


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
    """Copy every good snapshot that is not in S3 yet. Raises Refused; what was done until then counts.

    What somebody else has changed in S3 is sent again, as far as this disk has it.
    """
    place = aws.place(context)
    rate, recipients = limit(context), encryption.recipients(context)
    signing.sign(context, b"")  # without its key nothing is sent
    s3 = aws.client(context, place)
    days = bucket.lock_days(s3, place)
    with working(context) as folder, Index(folder.folder) as content:
        to = Bucket(s3, place, rate, signing.trusted(context))
        keys, sign = encryption.identities(context), partial(signing.sign, context)
        run = Upload(to, folder, content, days, recipients, keys, sign, progress)
        _copy_all(run, folders.hdd(context))
        run.report.sent = to.sent
        return run.report


def _copy_all(run: "Upload", hdd: Path) -> None:
    """An upload may take days: a snapshot that is taken again meanwhile is looked at again."""
    for tries in reversed(range(TRIES)):
        try:
            for each in run.missing([each for each in snapshot.every(hdd) if each.good]):
                run.copy(each)
            return
        except Replaced:
            if not tries:
                raise


@dataclass
class Upload:
    """One run: the bucket, the folder to work in, the bucket's lock in days, and for whom to encrypt.

    `index`, `chain` and `objects` are those of the newest copy, as far as S3 still has its data.
    """

    bucket: Bucket
    working: Working
    index: Index
    days: int
    recipients: list[str]
    identities: list[str]
    sign: Callable[[bytes], bytes]
    progress: Progress
    report: Report = field(default_factory=Report)
    chain: list[str] = field(default_factory=list)
    objects: dict[str, Entry] = field(default_factory=dict)

    def missing(self, good: list[Snapshot]) -> list[Snapshot]:
        """Those not in S3 with the same content; and load what the newest copy there consists of."""
        there = self.bucket.objects("")
        wrong = watch.look(self.bucket, self.working.record, there)
        self.report.findings = wrong.problems
        whole = {name: each["Size"] for name, each in there.items() if name not in wrong.wrong}
        if keys := [key for key in manifests(there) if key in whole]:
            self._load(keys[-1], whole)
        found = []
        for each in good:
            if self._is_there(each, whole):
                self.report.newest = each.id
            else:
                found.append(each)
        return found

    def _is_there(self, found: Snapshot, whole: dict[str, int]) -> bool:
        key = f"{found.id}{LAST}"
        if key not in whole:
            return False
        copy = read(self.bucket, key)
        needed = all(f"data/{name}" in whole for name in copy.objects)
        return needed and copy.signed and copy.snapshot == _digest(found)

    def _load(self, key: str, whole: dict[str, int]) -> None:
        """The newest copy. What S3 hides or has changed is uploaded again."""
        self.index.forget()
        self.chain, self.objects = [], {}
        try:
            last = read(self.bucket, key)
            put = self.working.record[key]
            if last.signed or (put and put.was_there):  # of a version that did not sign
                self.index.load(self.bucket, last, self.identities)
        except aws.Unreachable:
            raise
        except Refused:
            self.index.forget()  # another host's, or damaged: this run begins with a whole copy of its own
            return
        if not set(self.recipients) <= set(last.recipients):
            self.index.forget()  # a new key opens none of the old packs, so it gets a whole copy
            for name in self.working.names():
                self.working.forget(name)
            return
        for name in last.objects:  # a run that was killed once it had published this copy
            self.working.forget(name)
        self.objects = {n: e for n, e in last.objects.items() if self._is_ours(n, e, whole)}
        self.index.keep(self.objects)
        self.chain = last.chain if self.objects.keys() >= set(last.chain) else []

    def _is_ours(self, name: str, entry: Entry, whole: dict[str, int]) -> bool:
        """Whether S3 has what the manifest says, by S3's own checksum."""
        put = self.working.record[f"data/{name}"]
        if put is None or whole.get(f"data/{name}") != entry.size or put.sum != entry.sum:
            return False
        if not put.until:
            self.working.record[f"data/{name}"] = replace(put, until=entry.until)
        return True

    def copy(self, found: Snapshot) -> None:
        """Upload what the snapshot needs, lock it long enough, and put its manifest there last."""
        digest = ""
        try:
            with held(found.path):
                digest = _digest(found)
                self._send_new(found)
                made = self._finish()
                if _digest(found) != digest:
                    raise _replaced(found)
        except (Refused, FileNotFoundError):
            if not digest or not (found.path / manifest.FILE).is_file() or _digest(found) != digest:
                raise _replaced(found) from None
            raise
        self._publish(found, digest, made)
        for name in self.working.names():
            self.working.forget(name)

    def _send_new(self, found: Snapshot) -> None:
        self.index.fill(found)
        self._go_on()
        done, total = 0, self.index.new_bytes()
        for group in packs.groups(self.index.new()):
            self.progress(f"copying {found.id}", done, total)
            path = packs.build(self.working.folder, found, group, self.recipients)
            self._take(path, [file.sha for file in group])
            done += sum(file.size for file in group)
        self.progress(f"copying {found.id}", total, total)

    def _go_on(self) -> None:
        """Packs that an earlier run has begun to send: send the rest of those that are still of use."""
        for name in self.working.names():
            journal = self.working[name]
            if not journal.done and not any(map(self.index.wants, journal.blobs)):
                self.working.forget(name)
                continue
            if not journal.done:
                self._send(name)
            self.index.hold(name, journal.blobs)

    def _finish(self) -> dict[str, Entry]:
        """Send the index; what the copy consists of, all of it locked long enough."""
        known = self.objects | {name: self.working[name].entry for name in self.working.names()}
        if not self.chain or index.worn([known[name].size for name in self.chain]):
            self.chain = []
            self.index.clear()
        made = self._take(self.index.write(self.recipients), [])
        needed = {name: known[name] for name in [*self.index.needed(), *self.chain]}
        self.chain = [*self.chain, made]
        return {**self._locked(needed), made: self.working[made].entry}

    def _publish(self, found: Snapshot, digest: str, objects: dict[str, Entry]) -> None:
        made = Remote(
            id=found.id,
            snapshot=digest,
            taken=found.taken.isoformat(),
            # To the microsecond: of two copies of a day the later one counts.
            uploaded=datetime.now(UTC).isoformat(),
            lock_days=self.days,
            bytes=self.index.size(),
            chain=self.chain,
            objects=objects,
            recipients=self.recipients,
        )
        self.objects = objects
        put_manifest(self.bucket, self.working, made, self.sign(made.text()))
        self.index.advance()
        self.report.copied.append(found.id)
        self.report.newest = found.id

    def _locked(self, objects: dict[str, Entry]) -> dict[str, Entry]:
        """The same, each locked for at least as long as the snapshot that is being copied."""
        most = self._until()
        for name, entry in objects.items():
            if not self._enough(entry):
                put = self.working.record[f"data/{name}"] or watch.FOUND
                self.bucket.lock(name, most, put.version)
                objects[name] = replace(entry, until=most.isoformat())
                self.working.record[f"data/{name}"] = replace(put, until=most.isoformat())
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
        self.working[path.name] = Journal(entry, blobs)
        self._send(path.name)
        self.index.hold(path.name, blobs)
        return path.name

    def _send(self, name: str) -> None:
        """Upload a pack of the working folder, or go on with it, and then forget its bytes."""
        journal = self.working[name]
        if not self._enough(journal.entry):  # begun long ago: the bucket would refuse so short a lock
            journal = Journal(replace(journal.entry, until=self._until().isoformat()), journal.blobs)

        def begun(upload: str) -> None:
            self.working[name] = replace(journal, upload=upload)

        put_data(self.bucket, self.working, name, journal.entry, journal.upload, begun)
        self.working[name] = replace(journal, done=True)
        (self.working.folder / name).unlink()


def _digest(found: Snapshot) -> str:
    return manifest.file_digest(found.path / manifest.FILE)


def _replaced(found: Snapshot) -> Replaced:
    wrong = "was taken again or removed while it was copied"
    return Replaced(Problem("snapshot", wrong, "make sync", value=found.id))
