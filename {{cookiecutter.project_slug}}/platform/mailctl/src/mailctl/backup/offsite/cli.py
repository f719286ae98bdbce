"""`mailctl sync`: copies snapshots to S3, lists and checks them. Work is imported when a command runs."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from mailctl.core.aws import Access, MfaOption, ProfileOption, RoleOption
from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.progress import bar
from mailctl.core.stack import LocalOption, stack


def sync(
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing: compare checksums, locks and signatures in S3.")
    ] = False,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair", help="Send again what somebody has hidden or overwritten (with --role: all of it)."
        ),
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="Change nothing: show the copies in S3.")] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="With --list: also overwritten and hidden ones (restore role).")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune", help="Remove data that no copy needs and no lock holds (an administrator's profile)."
        ),
    ] = False,
    profile: ProfileOption = None,
    role: RoleOption = None,
    mfa: MfaOption = None,
    identity: Annotated[
        Path | None, typer.Option("--identity", metavar="FILE", help="With --list: whose signatures count.")
    ] = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy every good snapshot that is not there yet to S3, encrypted, under Object Lock."""
    with command(repo, as_json) as found:
        context, by = stack(found, local), Access(profile, role, mfa)
        if listing or versions:
            _list(context, by, versions, identity)
        elif verify:
            _verify(context, by)
        elif repair:
            _repair(context, by)
        elif prune:
            _prune(context, by)
        else:
            _sync(context)


def _sync(context: Context) -> None:
    """Errors of the disk and of S3 alike end in the state, the metric and a mail."""
    from mailctl.backup.offsite.upload import upload
    from mailctl.core import job_results, notify
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.format import size

    try:
        with bar(context.out, "looking at S3") as progress:
            report = upload(context, progress)
    except (Refused, OSError) as error:
        refusal = (
            error
            if isinstance(error, Refused)
            else Refused(Problem("disk", f"failed: {error.strerror or error}", "fix that, then: make sync"))
        )
        problems = [problem.as_dict() for problem in refusal.problems]
        job_results.record(context, "sync", False, {"problems": problems})
        text = "\n".join(f"{p.field}: {p.wrong}\n  {p.fix}" for p in refusal.problems)
        notify.tell(
            context, "the copy to S3 failed", f"{text}\n\nThe next run goes on where this one stopped.\n"
        )
        raise refusal from None
    document = {
        "copied": report.copied,
        "bytes": report.sent,
        "renewed": report.renewed,
        "newest": report.newest,
    }
    job_results.record(context, "sync", True, document)
    _tell(context, "copies", report.findings)
    out = context.out
    for id in report.copied:
        out.item("copied", id)
    newest = report.newest or "none"
    out.show(f"{len(report.copied)} snapshots copied, {size(report.sent)} sent; newest in S3: {newest}")
    if report.findings:
        raise Refused(*report.findings)
    out.document({"ok": True, **document})


def _tell(context: Context, what: str, problems: list[Any]) -> None:
    """Keep what somebody else did in the bucket, for the monitor's alarm; mail what is new."""
    from mailctl.core import job_results, notify

    before = (job_results.last(context, what) or {}).get("document", {}).get("problems", [])
    found = [problem.as_dict() for problem in problems]
    job_results.record(context, what, not found, {"problems": found})
    if new := [p for p, each in zip(problems, found, strict=True) if each not in before]:
        text = "\n".join(f"{p.field}: {p.wrong}\n  {p.fix}" for p in new)
        notify.tell(context, "somebody else changed the copies in S3", text)


def _verify(context: Context, by: Access) -> None:
    """On the host also against what it has sent; elsewhere, as with a profile, only what S3 itself shows."""
    from mailctl.backup.offsite.watch import verify
    from mailctl.backup.offsite.working import working
    from mailctl.core.errors import Refused
    from mailctl.core.format import size

    own = not (by.profile or by.role)
    with bar(context.out, "looking at S3") as progress, ExitStack() as held:
        record = held.enter_context(working(context, wait=True)).record if own else None
        found = verify(_bucket(context, by), record, progress)
    if own:
        _tell(context, "copies-verify", found.problems)
    if found.problems:
        raise Refused(*found.problems)
    objects = len(found.needed)
    context.out.show(f"{len(found.copies)} copies, {objects} objects, {size(found.bytes)}: whole and locked")
    context.out.document({"ok": True, "copies": found.copies, "objects": objects, "bytes": found.bytes})


def _repair(context: Context, by: Access) -> None:
    from mailctl.backup.offsite.repair import repair
    from mailctl.backup.offsite.upload import upload
    from mailctl.core import job_results
    from mailctl.core.errors import Refused

    with bar(context.out, "looking at S3") as progress:
        copied = upload(context, progress).copied
        done = repair(context, by, progress)
    for label, names in (("copied", copied), ("repaired", done.repaired), ("known from now on", done.known)):
        for name in names:
            context.out.item(label, name)
    found = {"problems": [problem.as_dict() for problem in done.problems]}
    for what in ("copies", "copies-verify"):
        job_results.record(context, what, not done.problems, found)
    if done.problems:
        raise Refused(*done.problems)
    context.out.show("The copies are as this host sent them; what others put there is never restored.")
    context.out.document({"ok": True, "copied": copied, "repaired": done.repaired, "known": done.known})


def _prune(context: Context, by: Access) -> None:
    from mailctl.backup.offsite.prune import prune
    from mailctl.core.format import size

    with bar(context.out, "looking at S3") as progress:
        found = prune(_bucket(context, by), progress)
    context.out.show(
        f"{found.removed} objects removed, {size(found.bytes)}; {found.locked} more are not needed but locked"
    )
    context.out.document({"ok": True, "removed": found.removed, "bytes": found.bytes, "locked": found.locked})


def _list(context: Context, by: Access, versions: bool, identity: Path | None) -> None:
    from mailctl.backup.offsite.copies import manifests, read
    from mailctl.core.aws import explained
    from mailctl.core.errors import Refused
    from mailctl.core.format import size

    bucket = _bucket(context, by, identity)
    rows: list[dict[str, Any]] = []
    for key in manifests(bucket.objects("")):
        try:
            found = read(bucket, key)
        except Refused as refusal:
            context.out.warn(str(refusal))
            continue
        about = {"id": found.id, "taken": found.taken, "uploaded": found.uploaded, "bytes": found.bytes}
        rows.append({**about, "signed": found.signed})
        mark = "signed" if found.signed else "NOT SIGNED"
        when = f"taken {found.taken}  uploaded {found.uploaded}"
        context.out.row(found.id, f"{when}  {size(found.bytes)}  {mark}", 20)
    if versions:
        with explained("listing versions"):
            each = [v for kind in ("daily/", "weekly/") for v in bucket.versions(kind)]
        for version in each:
            name = version["Key"].removeprefix(bucket.place.prefix).removesuffix("/manifest.json")
            id, at = f"{name}?versionId={version['VersionId']}", version["LastModified"].isoformat()
            rows.append({"id": id, "uploaded": at, "newest": version["IsLatest"]})
            context.out.row(id, at, 20)
    context.out.document({"ok": True, "place": bucket.place.uri, "copies": rows})


def _bucket(context: Context, by: Access, identity: Path | None = None) -> Any:
    from mailctl.backup.offsite.objects import Bucket
    from mailctl.core import aws, signing

    place = aws.place(context)
    return Bucket(aws.client(context, place, by), place, signers=signing.trusted(context, identity))
