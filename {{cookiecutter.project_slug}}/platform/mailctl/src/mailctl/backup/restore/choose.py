"""Which snapshot is meant, and whether it may be used: every byte as it was saved, and no virus in it."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from mailctl.backup.restore import stage
from mailctl.backup.restore.journal import remove
from mailctl.core import disks, snapshots
from mailctl.core.aws import Access
from mailctl.core.compose import Compose
from mailctl.core.containers import all_of, running
from mailctl.core.context import Context
from mailctl.core.disk_locks import exclusive, held
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.folders import hdd
from mailctl.core.hosts import several
from mailctl.core.lock import turn
from mailctl.core.snapshot_manifest import COMPONENTS
from mailctl.core.snapshots import Snapshot

SHOWN_PROBLEMS = 20
SCANNER, SCANNER_SECONDS = "clamav", "1800"
QUARANTINE = "leave it out, with a copy in a folder of yours: --quarantine DIR"
# A datadir with nothing in it, and what a line of a compressed dump grows to with its indexes.
EMPTY_DATABASE, GROWTH = 300 << 20, 30


@dataclass(frozen=True)
class Choice:
    """How a user names a snapshot; the key that opens it, a place for infected mails, and the way into S3."""

    source: str | None
    at: str | None = None
    identity: Path | None = None
    quarantine: Path | None = None
    by: Access | None = None
    before: str | None = None
    to: Path | None = None
    unsigned: bool = False


def components(word: str) -> tuple[str, ...]:
    """The components a user names. Raises Misuse."""
    if word == "all":
        return COMPONENTS
    if word in COMPONENTS:
        return (word,)
    raise Misuse(Problem("--component", "is none", f"one of: all, {', '.join(COMPONENTS)}", value=word))


@contextmanager
def changing(context: Context) -> Iterator[None]:
    """What is live changes: backups wait, and nothing else; what only fetches or compares delays none."""
    with exclusive(context, "mailctl restore"), turn(hdd(context)):
        yield


def found(
    context: Context, choice: Choice, wanted: Sequence[str], mailbox: str | None = None
) -> AbstractContextManager[Snapshot]:
    """The snapshot that is meant, every file of it compared with its manifest. Raises Refused and Misuse.

    It stays in its place meanwhile. From S3 only the parts that are needed are fetched; they are removed
    again at the end, unless `to` names a folder for them. An interrupted fetch goes on the next time.
    """
    if (choice.source or "").startswith("s3://"):
        return _from_s3(context, choice, wanted, mailbox)
    return _from_disk(context, choice, wanted)


@contextmanager
def _from_disk(context: Context, choice: Choice, wanted: Sequence[str]) -> Iterator[Snapshot]:
    for name in ("before", "to", "unsigned"):
        if getattr(choice, name):
            raise Misuse(Problem(f"--{name}", "goes with s3:// only", "from this disk: --at TIME"))
    snapshot = local(context, choice.source, choice.at)
    with held(snapshot.path):
        check(context, snapshot, wanted)
        yield snapshot


@contextmanager
def _from_s3(
    context: Context, choice: Choice, wanted: Sequence[str], mailbox: str | None
) -> Iterator[Snapshot]:
    from mailctl.backup.offsite.download import fetch

    if choice.at:
        fix = "name the snapshot, s3://bucket/prefix/daily/DATE, or what may count: --before TIME"
        raise Misuse(Problem("--at", "does not go with s3://", fix))
    before = moment(choice.before, "--before") if choice.before else None
    target = choice.to.expanduser().absolute() if choice.to else fetched(context)
    gone = [] if choice.to else [target / kind for kind in snapshots.KINDS]
    words = (choice.source or "", target, wanted, mailbox, choice.identity)
    remove(gone)
    try:
        yield fetch(context, *words, by=choice.by, before=before, unsigned=choice.unsigned)
    finally:
        remove(gone)
        if gone:
            with suppress(OSError):  # what an interrupted fetch has brought stays for the next one
                target.rmdir()


def fetched(context: Context) -> Path:
    """Where a snapshot from S3 waits to be restored; nothing else keeps its files."""
    return hdd(context) / ".mailctl" / "fetched"


def local(context: Context, source: str | None, at: str | None) -> Snapshot:
    """The snapshot in the folder `source`, or the newest good one that is not later than `at`."""
    if source and not at:
        return snapshots.read(Path(source))
    disk = Path(source) if source else hdd(context)
    limit = moment(at) if at else datetime.max.replace(tzinfo=UTC)
    found = [one for one in snapshots.every(disk) if one.good and one.taken <= limit]
    if found:
        return found[-1]
    have = ", ".join(f"{one.id} ({one.taken:%Y-%m-%d %H:%M} UTC)" for one in snapshots.every(disk)[-10:])
    fix = f"name a later time; there are: {have}" if have else "name a folder with snapshots: --from DIR"
    raise Refused(Problem("--at", f"no good snapshot so early in {disk}", fix, value=at))


def folder_of(mailbox: str) -> str:
    """Where a snapshot has a mailbox."""
    user, _, domain = mailbox.rpartition("@")
    return f"mail/{domain}/{user}"


def moment(text: str, option: str = "--at") -> datetime:
    """A time as people write it, in this host's time zone; a date alone is the end of that day, or for
    --before its beginning.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        fix = 'write it as 2026-11-26, "2026-11-26 08:30" or 2026-11-26T08:30:00Z'
        raise Misuse(Problem(option, "is no time", fix, value=text)) from None
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text.strip()):
        found = datetime.combine(found, time.max if option == "--at" else time.min)
    return found.astimezone(UTC)


def check(context: Context, snapshot: Snapshot, wanted: Sequence[str]) -> None:
    """Compare every file of the components with the manifest. Raises Refused, naming the files."""
    context.out.note(f"comparing {snapshot.id} with its manifest")
    named = wanted if len(wanted) == 1 else snapshot.manifest.expected(wanted)
    missing = [name for name in named if name not in snapshot.manifest.components]
    problems = [
        Problem(f"{snapshot.id}/{name}", "is not in this snapshot", "use another one") for name in missing
    ]
    refuse(snapshot, problems or snapshots.verify(snapshot, wanted))


def refuse(snapshot: Snapshot, problems: list[Problem]) -> None:
    """Raises Refused with the first of the files that are not as they were saved, if there are any."""
    if len(problems) > SHOWN_PROBLEMS:
        more = Problem(
            snapshot.id, f"and {len(problems) - SHOWN_PROBLEMS} more files", "use another snapshot"
        )
        problems = [*problems[:SHOWN_PROBLEMS], more]
    if problems:
        raise Refused(*problems)


def refuse_without_room(
    context: Context, snapshot: Snapshot, wanted: Sequence[str], home: Path | None = None
) -> None:
    """What is restored lies beside what is live, or all of it in `home`. Raises Refused without the room."""
    size = {n: snapshot.manifest.components[n]["bytes"] for n in snapshot.manifest.expected(wanted)}
    hdd_path, ssd_path = home or hdd(context), home or context.folder("SSD_PATH", "")
    # What was fetched is not copied: it becomes what is restored.
    mail = snapshot.manifest.components["mail"] if "mail" in size else {}
    copied = size.get("mail", 0) + mail.get("files", 0) * disks.BLOCK
    needs = {hdd_path: 0 if stage.is_disposable(context, snapshot) else copied}
    needs[ssd_path] = needs.get(ssd_path, 0) + (
        EMPTY_DATABASE + GROWTH * size["mysql"] if "mysql" in size else 0
    )
    disks.need(context, f"restoring {snapshot.id}", needs)


def scan(context: Context, snapshot: Snapshot, quarantine: Path | None, below: str = "") -> list[str]:
    """Look for viruses in the mail, or in what is `below` a path; returns what was set aside.

    Raises Refused when there are any and no folder for them.
    A scanner that does not run, as on a new host, is started for it. A server without one is not scanned.
    """
    compose = Compose(context.repo, environ=context.environ)
    if SCANNER not in compose.run("config", "--services").split():
        context.out.warn("this server has no virus scanner: the snapshot was not scanned")
        return []
    from mailctl.backup.scan import scan as look

    state = all_of(context).get(SCANNER)
    if several(context):
        running(context, SCANNER)
    elif state is None or not state.ok:
        context.out.note("starting the virus scanner (its first start fetches the signatures)")
        compose.run("up", "--detach", "--wait", "--wait-timeout", SCANNER_SECONDS, "--no-deps", SCANNER)
    context.out.note(f"scanning {snapshot.id}")
    result = look(context, snapshot, quarantine, below=below)
    if result.ok:
        return [finding.path for finding in result.findings]
    found = [Problem(one.path, f"holds {one.signature}", QUARANTINE) for one in result.findings]
    raise Refused(*found[:SHOWN_PROBLEMS])
