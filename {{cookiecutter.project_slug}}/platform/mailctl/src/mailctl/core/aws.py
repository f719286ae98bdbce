"""Who asks S3, and where: the host's own key, or a person's profile or role; and what S3's refusals mean."""

import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.core import hosts
from mailctl.core.context import Context
from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    import boto3

KEY_FILE = "aws_uploader_key"
SETTINGS = ".venv/bin/mailctl secrets aws --from-terraform writes it"
MFA_SECONDS = 36 * 3600  # the longest that AWS gives
_HINTS = {
    "AccessDenied": ("S3 does not allow it", "with another key: --profile or --role; else: terraform apply"),
    "NoSuchKey": (
        "there is no such object, or a newer version hides it",
        ".venv/bin/mailctl sync --list --versions",
    ),
    "NoSuchBucket": ("there is no such bucket", "check BACKUP_BUCKET in .env; terraform apply makes it"),
    "InvalidAccessKeyId": ("the access key was removed or never was", ".venv/bin/mailctl secrets aws"),
    "SignatureDoesNotMatch": (
        "the secret does not belong to the access key",
        ".venv/bin/mailctl secrets aws",
    ),
    "403": ("S3 does not allow it", "with another key: --profile or --role; else: terraform apply"),
    "InvalidToken": ("the sign-in is not valid", "aws sso login, or run the command again"),
    "PermanentRedirect": ("the bucket is in another region", "check BACKUP_REGION in .env"),
    "AuthorizationHeaderMalformed": ("the bucket is in another region", "check BACKUP_REGION in .env"),
    "SlowDown": ("S3 asks to send less at a time", "run the same command again: it goes on from here"),
    "ExpiredToken": ("the sign-in has expired", "aws sso login, or run the command again"),
    "RequestTimeTooSkewed": ("this host's clock is wrong", "timedatectl set-ntp true"),
}
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


class Unreachable(Refused):
    """S3 could not be asked, or did not answer the question; says nothing about what is there."""


@dataclass(frozen=True)
class Place:
    """A folder of a bucket; `prefix` is empty or ends in a slash."""

    bucket: str
    prefix: str
    region: str

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Access:
    """How a person gets in: a profile of the AWS configuration (Identity Center), a role with MFA, or both.

    Empty: the host's own key; on a machine without one, what boto3 finds (AWS_PROFILE, AWS_ACCESS_KEY_ID …).
    """

    profile: str | None = None
    role: str | None = None
    mfa: str | None = None


def place(context: Context) -> Place:
    """Where this host's copies are. Raises Refused when a setting is missing."""
    bucket, region = context.setting("BACKUP_BUCKET"), context.setting("BACKUP_REGION")
    prefix = context.setting("BACKUP_PREFIX")
    missing = [n for n, v in (("BACKUP_BUCKET", bucket), ("BACKUP_REGION", region)) if not v]
    if missing:
        raise Refused(
            *(Problem(name, "is not set: nothing is copied off site", SETTINGS) for name in missing)
        )
    if hosts.several(context) and prefix.strip("/").rpartition("/")[2] != platform.node():
        wrong = "does not end in this host's name: each host has a place and a key of its own"
        fix = f"{prefix.strip('/') or 'mailserver'}/{platform.node()}/ (docs/several-hosts.md)"
        raise Refused(Problem("BACKUP_PREFIX", wrong, fix, value=prefix))
    return Place(bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else "", region)


def client(context: Context, where: Place, access: Access | None = None) -> Any:
    """A boto3 client for S3. Raises Refused when there are no credentials."""
    from botocore.config import Config

    with explained("signing in to AWS"):
        session = _session(context, where.region, access or Access())
        if session.get_credentials() is None:
            wrong, fix = f"there is no secrets/{KEY_FILE}", ".venv/bin/mailctl secrets aws, or --profile NAME"
            raise Refused(Problem("AWS credentials", wrong, fix))
        retries = {"mode": "standard", "max_attempts": 4}
        return session.client("s3", config=Config(retries=retries, connect_timeout=10, read_timeout=60))


def keys(content: bytes) -> list[tuple[str, str]]:
    """The access keys in the secret file, newest first: id and secret on a line each."""
    lines = content.decode("ascii", "replace").split()
    return list(zip(lines[::2], lines[1::2], strict=False))


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into a refusal that says what was being done and what to do."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        found = error.response["Error"]
        code = found.get("Code", "")
        wrong, fix = _HINTS.get(code, (f"S3 answered {code}: {found.get('Message', '')}", _AGAIN))
        kind = Refused if code in ("NoSuchKey", "404") else Unreachable
        raise kind(Problem("S3", f"{wrong} ({error.operation_name})", fix, value=doing)) from None
    except (BotoCoreError, Boto3Error) as error:
        raise Unreachable(Problem("S3", f"failed: {error}", _AGAIN, value=doing)) from None


_AGAIN = "check the network, then run the same command again: it goes on from here"


def _session(context: Context, region: str, access: Access) -> "boto3.Session":
    import boto3

    if access.role:
        return _assumed(boto3.Session(profile_name=access.profile, region_name=region), access)
    own = None if access.profile else _own_key(context)
    if own:
        return boto3.Session(aws_access_key_id=own[0], aws_secret_access_key=own[1], region_name=region)
    return boto3.Session(profile_name=access.profile, region_name=region)


def _own_key(context: Context) -> tuple[str, str] | None:
    try:
        found = keys((context.folder("SECRETS_DIR", "secrets") / KEY_FILE).read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        wrong = f"cannot be read: {error.strerror}"
        raise Refused(Problem(f"secrets/{KEY_FILE}", wrong, "run this as root")) from None
    return found[0] if found else None


def _assumed(source: "boto3.Session", access: Access) -> "boto3.Session":
    """A session of the role, whose keys are good for an hour and are then replaced, for as long as it takes.

    The code of the MFA device, asked for once on the terminal, is good for 36 hours (GetSessionToken).
    """
    import boto3
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.session import Session

    region = source.region_name
    if access.mfa:
        print(f"Code of {access.mfa}: ", end="", file=sys.stderr, flush=True)
        code = {"SerialNumber": access.mfa, "TokenCode": sys.stdin.readline().strip()}
        made = source.client("sts").get_session_token(**code, DurationSeconds=MFA_SECONDS)["Credentials"]
        source = boto3.Session(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"], region)
    named = {"RoleSessionName": "mailctl-restore"}
    fetcher = AssumeRoleCredentialFetcher(source.client, source.get_credentials(), access.role, named)
    inner = Session()
    inner._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
    inner._credentials.get_frozen_credentials()  # a refusal comes now
    return boto3.Session(botocore_session=inner, region_name=region)
