"""`mailctl secrets aws`: the host's access key, made and changed with an administrator's own credentials.

The secret goes from AWS straight into secrets/aws_uploader_key: it is in no state of Terraform and on no
screen. Each step may be repeated: a run that was killed is finished by the next.
"""

import json
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from mailctl.core import aws
from mailctl.core.aws import KEY_FILE, Place, ProfileOption, explained
from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.env_file import set_lines
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.secret_files.store import Store, opened

MODE = 0o400
# IAM tells a new key to all of AWS within seconds, now and then within a minute.
LIMIT_SECONDS, PAUSE_SECONDS = 90.0, 2.0
OUTPUTS = {
    "BACKUP_BUCKET": "backup_bucket",
    "BACKUP_REGION": "backup_region",
    "BACKUP_PREFIX": "backup_prefix",
}
HOW = "terraform -chdir=terraform/s3-backup output -json | .venv/bin/mailctl secrets aws --from-terraform -"


@dataclass
class Change:
    """What was done: the id of the key in use, those that are gone, the settings that were written."""

    user: str
    key: str = ""
    removed: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)


def run(
    outputs: Annotated[
        typer.FileText | None,
        typer.Option(
            "--from-terraform", metavar="FILE", help="Output of `terraform output -json`; - for stdin."
        ),
    ] = None,
    profile: ProfileOption = None,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the host's access key for S3, or replace it by a new one. Needs an administrator's credentials."""
    with command(repo, as_json) as context:
        found = _outputs(outputs.read()) if outputs else {}
        settings = _write_settings(context, found)
        user = found.get("uploader_user") or _user_of_current_key(context)
        change = Change(user, settings=settings)
        renew(context, profile, change)
        out = context.out
        if settings:
            out.item("written into .env", ", ".join(settings))
        out.item("in use", f"{change.key} of {user} (its secret is in secrets/{KEY_FILE}, mode 0400)")
        for old in change.removed:
            out.item("removed", old)
        out.item("next", "make sync; the key is due again in 90 days")
        out.document({"ok": True, **change.__dict__})


def renew(context: Context, profile: str | None, change: Change) -> None:
    """Make a key, see that it works, then remove all others. Raises Refused; until then the old key works."""
    import boto3

    place = aws.place(context)
    with explained("signing in as an administrator"):
        iam = boto3.Session(profile_name=profile, region_name=place.region).client("iam")
    folder = context.folder("SECRETS_DIR", "secrets")
    with opened(folder, create=False) as store, store.locked():
        held = aws.keys(store.read(KEY_FILE) or b"")
        there = _there(iam, change.user)
        _remove_unknown(iam, change, held, there)
        held = [pair for pair in held if pair[0] in there]
        if len(held) < 2:  # two: an earlier run was broken off after it had made the second
            held = [_make(iam, change.user, store, held), *held]
        change.key = held[0][0]
        _wait_until_it_works(context, place)
        for old, _ in held[1:]:
            _retire(iam, change, old)
            _wait_until_it_works(context, place)
        _keep(store, held[:1])


def _there(iam: Any, user: str) -> dict[str, str]:
    """Ids and states of the user's keys."""
    with explained(f"listing the keys of {user}"):
        keys = iam.list_access_keys(UserName=user)["AccessKeyMetadata"]
    return {key["AccessKeyId"]: key["Status"] for key in keys}


def _remove_unknown(iam: Any, change: Change, held: list[tuple[str, str]], there: dict[str, str]) -> None:
    """A key whose secret is not here and that nobody used yet was made by a run that was killed then."""
    for id in there.keys() - {pair[0] for pair in held}:
        with explained(f"asking when {id} was used last"):
            used = iam.get_access_key_last_used(AccessKeyId=id)["AccessKeyLastUsed"].get("LastUsedDate")
        if used and there[id] == "Active":
            wrong = f"{change.user} has the key {id}, which somebody uses and whose secret is not here"
            removal = f"aws iam delete-access-key --user-name {change.user} --access-key-id {id}"
            fix = f"find out who; then: {removal}"
            raise Refused(Problem("access key", wrong, fix))
        _delete(iam, change, id)
        del there[id]


def _make(iam: Any, user: str, store: Store, held: list[tuple[str, str]]) -> tuple[str, str]:
    """A new key, in the file before anything else happens."""
    with explained(f"making a key for {user}"):
        key = iam.create_access_key(UserName=user)["AccessKey"]
    pair = key["AccessKeyId"], key["SecretAccessKey"]
    _keep(store, [pair, *held])
    return pair


def _keep(store: Store, held: list[tuple[str, str]]) -> None:
    store.write(KEY_FILE, "".join(f"{id}\n{secret}\n" for id, secret in held).encode(), MODE)


def _wait_until_it_works(context: Context, place: Place) -> None:
    """Ask S3 for something that the newest key in the file may see. Raises Refused after the limit."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        try:
            with explained("trying the new key"):
                aws.client(context, place).get_bucket_versioning(Bucket=place.bucket)
            return
        except Refused:
            if time.monotonic() > deadline:
                raise
        threading.Event().wait(PAUSE_SECONDS)


def _retire(iam: Any, change: Change, id: str) -> None:
    with explained(f"switching {id} off"):
        iam.update_access_key(UserName=change.user, AccessKeyId=id, Status="Inactive")
    _delete(iam, change, id)


def _delete(iam: Any, change: Change, id: str) -> None:
    with explained(f"removing {id}"):
        iam.delete_access_key(UserName=change.user, AccessKeyId=id)
    change.removed.append(id)


def _user_of_current_key(context: Context) -> str:
    """Whose key the file holds: every key may ask that about itself."""
    import boto3

    held = aws.keys(_file(context).read_bytes() if _file(context).exists() else b"")
    if not held:
        raise Misuse(Problem("access key", "it is not known whose key to make", HOW))
    id, secret = held[0]
    with explained("asking whose key this is"):
        session = boto3.Session(aws_access_key_id=id, aws_secret_access_key=secret)
        arn = session.client("sts", region_name=aws.place(context).region).get_caller_identity()["Arn"]
    return str(arn).rpartition("/")[2]


def _file(context: Context) -> Path:
    return context.folder("SECRETS_DIR", "secrets") / KEY_FILE


def _outputs(text: str) -> dict[str, str]:
    """Terraform's outputs by name. Raises Misuse when it is none of ours."""
    try:
        found = {name: output["value"] for name, output in json.loads(text).items()}
        missing = {*OUTPUTS.values(), "uploader_user"} - found.keys()
    except (ValueError, TypeError, KeyError, AttributeError):
        found, missing = {}, {"everything: it is not JSON of terraform output"}
    if missing:
        raise Misuse(Problem("--from-terraform", f"lacks {', '.join(sorted(missing))}", HOW))
    return found


def _write_settings(context: Context, found: dict[str, str]) -> list[str]:
    """Put bucket, region and prefix into `.env`, each in its line or at the end; the names of the changed."""
    wanted = {name: found[output] for name, output in OUTPUTS.items() if found}
    changed = {name: value for name, value in wanted.items() if context.setting(name) != value}
    if changed:
        set_lines(context.env_path.resolve(), changed)
        context.__dict__.pop("env_file", None)  # read again
    return list(changed)
