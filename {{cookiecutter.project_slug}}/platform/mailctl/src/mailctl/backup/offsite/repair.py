"""Sends again what somebody else has hidden or overwritten in S3, and says what it cannot."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from mailctl.backup.offsite.copies import LAST, chosen
from mailctl.backup.offsite.objects import Bucket, Entry, Progress, now
from mailctl.backup.offsite.watch import verify
from mailctl.backup.offsite.working import Put, Working, put_data, put_manifest, working
from mailctl.core import aws, signing
from mailctl.core.aws import Access
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
    place = aws.place(context)
    signers = signing.trusted(context)
    writer = Bucket(aws.client(context, place), place, signers=signers)
    reader = Bucket(aws.client(context, place, by), place, signers=signers)
    result = Repaired()
    with working(context) as folder:
        for name in verify(writer, folder.record, progress).wrong:
            # First the manifests: they say which data is needed.
            if name.endswith(LAST):
                _try(result, name, partial(_manifest_again, reader, writer, folder, name))
        found = verify(writer, folder.record, progress)
        for name in found.wrong:
            data = name.removeprefix("data/")
            if data in found.needed:
                _try(result, name, partial(_again, reader, writer, folder, data, *found.needed[data]))
            elif not any(problem.field == name for problem in result.problems):
                folder.record[name] = Put("", (writer.head(name) or {}).get("VersionId", ""), "")
                result.known.append(name)
    return result


def _try(result: Repaired, name: str, work: Callable[[], bool]) -> None:
    """Say what cannot be done, and go on with the rest."""
    try:
        if work():
            result.repaired.append(name)
    except aws.Unreachable:
        raise
    except Refused as refusal:
        result.problems.append(Problem(name, f"cannot be repaired: {refusal.problems[0].wrong}", ROLE))


def _again(reader: Bucket, writer: Bucket, folder: Working, name: str, entry: Entry, least: datetime) -> bool:
    """The version whose bytes are what the name says, once more on top; or only its lock is made longer."""
    until = max(datetime.fromisoformat(entry.until), least, now()).isoformat()
    path = folder.folder / name
    try:
        with path.open("w+b") as file:
            reader.get_data(name, file, entry.size)
        put_data(writer, folder, name, replace(entry, until=until))
    finally:
        path.unlink(missing_ok=True)
    return True


def _manifest_again(reader: Bucket, writer: Bucket, folder: Working, key: str) -> bool:
    """The newest signed version of a manifest once more on top; False: there is none, it was never ours."""
    try:
        found, _ = chosen(reader, key.removesuffix(LAST), None, None, unsigned=False)
    except aws.Unreachable:
        raise
    except Refused:
        if folder.record[key] is None:
            return False
        raise
    put_manifest(writer, folder, found, found.body)
    return True
