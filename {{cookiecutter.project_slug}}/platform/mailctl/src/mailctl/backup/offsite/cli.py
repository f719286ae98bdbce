"""`mailctl sync`: copies snapshots to S3, lists and checks them. Work is imported when a command runs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.progress import bar
from mailctl.core.stack import LocalOption, stack

if TYPE_CHECKING:
    from mailctl.backup.offsite.access import Access

ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", metavar="NAME", help="A profile of the AWS configuration (Identity Center)."),
]
RoleOption = Annotated[
    str | None, typer.Option("--role", metavar="ARN", help="Assume this role: restore_role_arn of Terraform.")
]
MfaOption = Annotated[
    str | None, typer.Option("--mfa", metavar="SERIAL", help="The MFA device whose code the role asks for.")
]


def sync(
    verify: Annotated[
        bool, typer.Option("--verify", help="Change nothing: compare checksums and locks in S3.")
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
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy every good snapshot that is not there yet to S3, encrypted, under Object Lock."""
    from mailctl.backup.offsite.access import Access

    with command(repo, as_json) as found:
        context, by = stack(found, local), Access(profile, role, mfa)
        if listing or versions:
            _list(context, by, versions)
        elif verify:
            _verify(context, by)
        elif prune:
            _prune(context, by)
        else:
            _sync(context)


def _sync(context: Context) -> None:
    """Errors of the disk and of S3 alike end in the state, the metric and a mail."""
    from mailctl.backup.offsite.upload import upload
    from mailctl.core import notify
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
        _record(context, False, {"problems": problems})
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
    _record(context, True, document)
    out = context.out
    for id in report.copied:
        out.item("copied", id)
    newest = report.newest or "none"
    out.show(f"{len(report.copied)} snapshots copied, {size(report.sent)} sent; newest in S3: {newest}")
    out.document({"ok": True, **document})


def _record(context: Context, ok: bool, document: dict[str, Any]) -> None:
    from mailctl.core import job_results
    from mailctl.core.errors import Refused

    try:
        job_results.record(context, "sync", ok, document)
    except (OSError, Refused) as error:
        context.out.warn(f"the outcome could not be kept: {error}")


def _verify(context: Context, by: "Access") -> None:
    from mailctl.backup.offsite.verify import verify
    from mailctl.core.errors import Refused
    from mailctl.core.format import size

    with bar(context.out, "looking at S3") as progress:
        found = verify(_bucket(context, by), progress)
    if found.problems:
        raise Refused(*found.problems)
    context.out.show(
        f"{len(found.copies)} copies, {found.objects} objects, {size(found.bytes)}: whole and locked"
    )
    context.out.document({"ok": True, "copies": found.copies, "objects": found.objects, "bytes": found.bytes})


def _prune(context: Context, by: "Access") -> None:
    from mailctl.backup.offsite.prune import prune
    from mailctl.core.format import size

    with bar(context.out, "looking at S3") as progress:
        found = prune(_bucket(context, by), progress)
    context.out.show(
        f"{found.removed} objects removed, {size(found.bytes)}; {found.locked} more are not needed but locked"
    )
    context.out.document({"ok": True, "removed": found.removed, "bytes": found.bytes, "locked": found.locked})


def _list(context: Context, by: "Access", versions: bool) -> None:
    from mailctl.backup.offsite.access import explained
    from mailctl.backup.offsite.upload import manifests, read
    from mailctl.core.format import size

    bucket = _bucket(context, by)
    rows: list[dict[str, Any]] = []
    for key in manifests(bucket):
        found = read(bucket, key)
        rows.append({"id": found.id, "taken": found.taken, "uploaded": found.uploaded, "bytes": found.bytes})
        context.out.row(found.id, f"taken {found.taken}  uploaded {found.uploaded}  {size(found.bytes)}", 20)
    if versions:
        with explained("listing versions"):
            each = [v for kind in ("daily/", "weekly/") for v in bucket.versions(kind)]
        for version in each:
            name = version["Key"].removeprefix(bucket.place.prefix).removesuffix("/manifest.json")
            id, at = f"{name}?versionId={version['VersionId']}", version["LastModified"].isoformat()
            rows.append({"id": id, "uploaded": at, "newest": version["IsLatest"]})
            context.out.row(id, at, 20)
    context.out.document({"ok": True, "place": bucket.place.uri, "copies": rows})


def _bucket(context: Context, by: "Access") -> Any:
    from mailctl.backup.offsite import access
    from mailctl.backup.offsite.objects import Bucket

    place = access.place(context)
    return Bucket(access.client(context, place, by), place)
