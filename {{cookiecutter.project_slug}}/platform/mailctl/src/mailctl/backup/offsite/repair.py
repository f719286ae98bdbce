"""Sends again what somebody else has hidden or overwritten in S3, and says what it cannot."""

from dataclasses import dataclass, field, replace
from datetime import datetime

from mailctl.backup.offsite import access
from mailctl.backup.offsite.access import Access
from mailctl.backup.offsite.copies import LAST, chosen
from mailctl.backup.offsite.objects import Bucket, Entry, now
from mailctl.backup.offsite.record import Put
from mailctl.backup.offsite.upload import Progress
from mailctl.backup.offsite.verify import verify
from mailctl.backup.offsite.working import Working, put_data, put_manifest, working
from mailctl.core import signing
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

ROLE = (
    "the version before is still locked, and the restore role reads it:"
    " make sync ARGS='--repair --role ARN --mfa SERIAL'"
)


@dataclass
class Repaired:
    """Names that are as they were again, those of others that are noted now, and what is still wrong."""

    repaired: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def repair(context: Context, by: Access, progress: Progress = lambda *_: None) -> Repaired:
    """Run after `upload`, which sends again what this disk still has. Older versions need the restore role.

    What only others have put there stays, as the host may delete nothing: it is noted, and never restored.
    """
    place = access.place(context)
    signers = signing.trusted(context)
    writer = Bucket(access.client(context, place), place, signers=signers)
    reader = Bucket(access.client(context, place, by), place, signers=signers)
    result = Repaired()
    with working(context) as folder:
        found = verify(writer, folder.record, progress)
        for name, problem in found.wrong.items():
            try:
                if needed := found.needed.get(name.removeprefix("data/")):
                    _again(reader, writer, folder, name.removeprefix("data/"), *needed)
                elif not name.endswith(LAST) or not _manifest_again(reader, writer, folder, name):
                    _know(writer, folder, name)
                    result.known.append(name)
                    continue
                result.repaired.append(name)
            except Refused as refusal:
                why = f"{problem.wrong}; {refusal.problems[0].wrong}"
                result.problems.append(Problem(name, why, ROLE))
    return result


def _again(reader: Bucket, writer: Bucket, folder: Working, name: str, entry: Entry, least: datetime) -> None:
    """The version whose bytes are what the name says, once more on top; or only its lock is made longer."""
    until = max(datetime.fromisoformat(entry.until), least, now()).isoformat()
    path = folder.folder / name
    try:
        with path.open("w+b") as file:
            reader.get_data(name, file, entry.size)
        put_data(writer, folder, name, replace(entry, until=until))
    finally:
        path.unlink(missing_ok=True)


def _manifest_again(reader: Bucket, writer: Bucket, folder: Working, key: str) -> bool:
    """The newest signed version of a manifest once more on top; False: there is none, it was never ours."""
    try:
        found, _ = chosen(reader, key.removesuffix(LAST), None, None, unsigned=False)
    except access.Unreachable:
        raise
    except Refused:
        if folder.record[key] is None:
            return False
        raise
    put_manifest(writer, folder, found, found.body)
    return True


def _know(writer: Bucket, folder: Working, name: str) -> None:
    head = writer.head(name) or {}
    folder.record[name] = Put("", head.get("VersionId", ""), "")
