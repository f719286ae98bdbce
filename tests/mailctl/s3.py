"""An S3 and an IAM in memory (moto's server, for real boto3), with the bucket of terraform/s3-backup."""

import json
from datetime import datetime
from typing import Any

import boto3
import requests
from botocore.config import Config
from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.responses import ActionResult
from moto.s3.models import S3Backend, s3_backends
from moto.server import ThreadedMotoServer
from moto.sts.responses import TokenResponse

BUCKET, PREFIX, REGION, USER = "example-com-mail-backup", "mailserver/", "ap-northeast-1", "host-uploader"
DAYS = 30
ADMINISTRATOR = {"Effect": "Allow", "Action": "*", "Resource": "*"}
# Like the module's, without its conditions, which moto does not know; tests/terraform judges the real one.
UPLOADER = {
    "Effect": "Allow",
    "Action": [
        *("s3:PutObject", "s3:GetObject", "s3:GetObjectRetention", "s3:PutObjectRetention"),
        *("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:ListBucket"),
        *("s3:GetBucketObjectLockConfiguration", "s3:GetObjectLockConfiguration", "s3:GetBucketVersioning"),
        *("s3:GetEncryptionConfiguration", "s3:GetBucketEncryption"),
    ],
    "Resource": "*",
}


def _complete(self: S3Backend, bucket_name: str, *arguments: Any, **options: Any) -> Any:
    """moto's own, which forgets the lock, and the number of parts in the checksum that HEAD tells."""
    key = _moto_completes(self, bucket_name, *arguments, **options)
    bucket = self.get_bucket(bucket_name)
    key.lock_mode, key.lock_until = bucket.default_lock_mode, bucket.default_retention()
    key.checksum_value, key.checksum_type = f"{key.checksum_value}-{key.checksum_parts}", None
    return key


def _signed_in(self: TokenResponse) -> ActionResult:
    """moto's own gives keys that its IAM does not know: these may do what AWS lets them."""
    duration = self._get_int_param("DurationSeconds")
    made = self.backend.assume_role(self.region, "me", f"arn:aws:iam::{ACCOUNT_ID}:role/me", "", duration, "")
    return ActionResult({"Credentials": made})


_moto_completes = S3Backend.complete_multipart_upload


class Cloud:
    """One account. Every request must be signed by a key that may do what it asks."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        S3Backend.complete_multipart_upload = _complete  # type: ignore[method-assign]
        TokenResponse.get_session_token = _signed_in  # type: ignore[method-assign]
        self._server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self._before = settings.INITIAL_NO_AUTH_ACTION_COUNT
        self.administrator = ("AKIATEST", "test")
        self.administrator = self.user("administrator", ADMINISTRATOR)
        self.make_bucket()
        self.uploader = self.user(USER, UPLOADER)
        settings.INITIAL_NO_AUTH_ACTION_COUNT, ActionAuthenticatorMixin.request_count = 0, 0

    def client(self, service: str = "s3", key: tuple[str, str] | None = None) -> Any:
        """A boto3 client with a key, the administrator's by default."""
        id, secret = key or self.administrator
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id=id,
            aws_secret_access_key=secret,
            config=Config(retries={"max_attempts": 1}),
        )

    def user(self, name: str, *statements: dict[str, Any]) -> tuple[str, str]:
        """Make a user who may do that; its key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def restore_role(self) -> str:
        """A role that people may assume; its ARN."""
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        iam = self.client("iam")
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        signed_in = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
        for name, may in (("me", signed_in), ("restore", ADMINISTRATOR)):
            role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]
            rights = json.dumps({"Version": "2012-10-17", "Statement": [may]})
            iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=rights)
        return str(role["Arn"])

    def make_bucket(self, name: str = BUCKET, mode: str | None = "COMPLIANCE", encrypted: bool = True) -> str:
        """A bucket with Object Lock in this mode; None: without."""
        s3 = self.client()
        place = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=place, ObjectLockEnabledForBucket=bool(mode))
        if mode:
            rule = {"DefaultRetention": {"Mode": mode, "Days": DAYS}}
            lock = {"ObjectLockEnabled": "Enabled", "Rule": rule}
            s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=lock)
        if encrypted:
            rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
        return name

    def uploaded(self, name: str, when: datetime) -> None:
        """As if the newest version of an object had been uploaded then, by S3's clock."""
        (backend,) = (each for each in s3_backends[ACCOUNT_ID].values() if BUCKET in each.buckets)
        backend.get_object(BUCKET, f"{PREFIX}{name}").last_modified = when

    def end_lock(self, name: str) -> None:
        """As if the days had passed for which the newest version of an object is locked."""
        (backend,) = (each for each in s3_backends[ACCOUNT_ID].values() if BUCKET in each.buckets)
        backend.get_object(BUCKET, f"{PREFIX}{name}").lock_until = "2026-01-01T00:00:00Z"

    def stop(self) -> None:
        settings.INITIAL_NO_AUTH_ACTION_COUNT = self._before
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=120)
        self._server.stop()
        S3Backend.complete_multipart_upload = _moto_completes  # type: ignore[method-assign]
