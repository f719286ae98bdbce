"""Who may do what, by the policies that are really attached, evaluated as IAM does."""

import json
from typing import Any

import pytest
from equipment.cloud import Cloud
from equipment.policies import Decision, Document, Request, decide
from equipment.template import ANSWERS
from equipment.workspace import Workspace

BUCKET = f"arn:aws:s3:::{ANSWERS['backup_bucket']}"
MINE = f"{BUCKET}/mailserver/daily/2026-01-01/mail.tar.zst"
STATE = f"arn:aws:s3:::{ANSWERS['state_bucket']}/mailserver/s3-backup/terraform.tfstate"
NAME = "mailserver-production"
IAM = "arn:aws:iam::123456789012"
TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
ENCRYPTED = {**TLS, "s3:x-amz-server-side-encryption": "AES256"}
DAYS = ANSWERS["object_lock_days"]
DATA = f"{BUCKET}/mailserver/data/0123"
LOCKED = {"s3:object-lock-mode": "COMPLIANCE", "s3:object-lock-remaining-retention-days": str(2 * DAYS)}


class Callers:
    """The identities that were made, and what AWS would answer them."""

    def __init__(self, cloud: Cloud) -> None:
        self.iam, s3 = cloud.client("iam"), cloud.client("s3")
        self.bucket_policy: Document = json.loads(
            s3.get_bucket_policy(Bucket=ANSWERS["backup_bucket"])["Policy"]
        )

    def managed(self, name: str) -> Document:
        arn = f"{IAM}:policy/mailserver-backup/{NAME}-{name}"
        version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = self.iam.get_policy_version(PolicyArn=arn, VersionId=version)
        return answer["PolicyVersion"]["Document"]

    def role(self, name: str, policy: str) -> Document:
        return self.iam.get_role_policy(RoleName=f"{NAME}-{name}", PolicyName=policy)["PolicyDocument"]

    def trust(self, name: str) -> Document:
        return self.iam.get_role(RoleName=f"{NAME}-{name}")["Role"]["AssumeRolePolicyDocument"]

    def uploader(self, *call: Any) -> Decision:
        documents = [self.managed("uploader"), self.bucket_policy]
        return decide(Request(*call), documents, self.managed("boundary"))

    def restore(self, *call: Any) -> Decision:
        documents = [self.role("restore", "read-backups"), self.bucket_policy]
        return decide(Request(*call), documents, self.managed("boundary"))

    def plan(self, *call: Any) -> Decision:
        return decide(Request(*call), [self.role("plan", "read")])

    def apply(self, *call: Any) -> Decision:
        return decide(Request(*call), [self.role("apply", "apply")])


@pytest.fixture(scope="module")
def callers(applied: Workspace, cloud: Cloud) -> Callers:
    return Callers(cloud)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("s3:PutObject", MINE, ENCRYPTED),
        ("s3:GetObject", MINE, TLS),
        ("s3:GetObjectRetention", MINE, TLS),
        ("s3:AbortMultipartUpload", MINE, TLS),
        ("s3:ListMultipartUploadParts", MINE, TLS),
        ("s3:ListBucket", BUCKET, {**TLS, "s3:prefix": "mailserver/daily/"}),
        ("s3:GetBucketObjectLockConfiguration", BUCKET, TLS),
        ("s3:GetBucketVersioning", BUCKET, TLS),
        ("s3:GetEncryptionConfiguration", BUCKET, TLS),
        ("s3:PutObject", MINE, TLS),
        ("s3:PutObject", DATA, {**TLS, **LOCKED}),
        ("s3:PutObjectRetention", DATA, {**TLS, **LOCKED}),
    ],
)
def test_the_uploader_may(action: str, resource: str, context: dict[str, str], callers: Callers) -> None:
    assert callers.uploader(action, resource, context) is Decision.ALLOWED


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:DeleteObject", MINE),
        ("s3:DeleteObjectVersion", MINE),
        ("s3:DeleteObjectTagging", MINE),
        ("s3:PutObjectRetention", MINE),
        ("s3:PutObjectLegalHold", MINE),
        ("s3:BypassGovernanceRetention", MINE),
        ("s3:PutObjectAcl", MINE),
        ("s3:PutObjectVersionAcl", MINE),
        ("s3:GetObjectVersion", MINE),
        ("s3:PutObject", f"{BUCKET}/another-host/mail.tar.zst"),
        ("s3:GetObject", f"{BUCKET}/another-host/mail.tar.zst"),
        ("s3:PutObject", f"{BUCKET}/mailserver"),
        ("s3:GetObject", STATE),
        ("s3:DeleteBucket", BUCKET),
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:DeleteBucketPolicy", BUCKET),
        ("s3:PutBucketVersioning", BUCKET),
        ("s3:PutBucketAcl", BUCKET),
        ("s3:PutBucketObjectLockConfiguration", BUCKET),
        ("s3:PutBucketOwnershipControls", BUCKET),
        ("s3:PutBucketPublicAccessBlock", BUCKET),
        ("s3:PutEncryptionConfiguration", BUCKET),
        ("s3:PutLifecycleConfiguration", BUCKET),
        ("s3:PutReplicationConfiguration", BUCKET),
        ("s3:ListAllMyBuckets", "*"),
        ("iam:CreateAccessKey", f"{IAM}:user/mailserver-backup/{NAME}-uploader"),
        ("sts:AssumeRole", f"{IAM}:role/mailserver-backup/{NAME}-restore"),
    ],
)
def test_the_uploader_is_explicitly_denied(action: str, resource: str, callers: Callers) -> None:
    assert callers.uploader(action, resource, ENCRYPTED) is Decision.DENIED


@pytest.mark.parametrize(
    ("mode", "days"),
    [("GOVERNANCE", 2 * DAYS), ("COMPLIANCE", DAYS - 1), ("COMPLIANCE", 36500)],
    ids=["weaker", "shorter", "for a century"],
)
def test_the_uploader_cannot_lock_data(mode: str, days: int, callers: Callers) -> None:
    lock = {"s3:object-lock-mode": mode, "s3:object-lock-remaining-retention-days": str(days)}
    assert callers.uploader("s3:PutObjectRetention", DATA, {**TLS, **lock}) is Decision.DENIED


def test_the_uploader_cannot_list_other_prefixes(callers: Callers) -> None:
    for prefix in ("", "another-host/", "mailserver"):
        decision = callers.uploader("s3:ListBucket", BUCKET, {**TLS, "s3:prefix": prefix})
        assert decision is Decision.NOT_ALLOWED
    assert callers.uploader("s3:ListBucket", BUCKET, TLS) is Decision.NOT_ALLOWED


def test_a_policy_that_is_added_by_hand_does_not_lift_the_uploader_over_its_boundary(
    callers: Callers,
) -> None:
    everything: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    boundary = callers.managed("boundary")
    for action in ("s3:DeleteObject", "s3:PutBucketPolicy", "s3:PutObjectLegalHold", "iam:CreateUser"):
        assert decide(Request(action, MINE, TLS), [everything], boundary) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("why", "action", "context"),
    [
        ("plain HTTP", "s3:GetObject", {"aws:SecureTransport": "false"}),
        ("old TLS", "s3:GetObject", {**TLS, "s3:TlsVersion": "1.1"}),
        (
            "a key of someone else's",
            "s3:PutObject",
            {**TLS, "s3:x-amz-server-side-encryption": "aws:kms"},
        ),
        (
            "a shorter retention",
            "s3:PutObject",
            {**ENCRYPTED, "s3:object-lock-remaining-retention-days": str(DAYS - 1)},
        ),
        (
            "a retention for a century",
            "s3:PutObject",
            {**ENCRYPTED, "s3:object-lock-remaining-retention-days": "36500"},
        ),
        (
            "retention shortened later",
            "s3:PutObjectRetention",
            {**TLS, "s3:object-lock-remaining-retention-days": "1"},
        ),
        ("a weaker mode", "s3:PutObject", {**ENCRYPTED, "s3:object-lock-mode": "GOVERNANCE"}),
        ("a bypass", "s3:BypassGovernanceRetention", TLS),
    ],
)
def test_the_bucket_refuses_even_an_administrator(
    why: str, action: str, context: dict[str, str], callers: Callers
) -> None:
    administrator: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    decision = decide(Request(action, MINE, context), [administrator, callers.bucket_policy])
    assert decision is Decision.DENIED, why


def test_a_longer_retention_in_compliance_mode_is_welcome(callers: Callers) -> None:
    administrator: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    longer = {"s3:object-lock-mode": "COMPLIANCE", "s3:object-lock-remaining-retention-days": str(DAYS)}
    request = Request("s3:PutObject", MINE, {**ENCRYPTED, **longer})
    assert decide(request, [administrator, callers.bucket_policy]) is Decision.ALLOWED


def test_the_restore_role_reads_every_version_and_writes_none(callers: Callers) -> None:
    for action in ("s3:GetObject", "s3:GetObjectVersion"):
        assert callers.restore(action, f"{BUCKET}/another-host/mail", TLS) is Decision.ALLOWED
    assert callers.restore("s3:ListBucketVersions", BUCKET, TLS) is Decision.ALLOWED
    for action in ("s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention"):
        assert callers.restore(action, MINE, ENCRYPTED) is Decision.NOT_ALLOWED


def test_the_restore_role_wants_mfa(callers: Callers) -> None:
    trust = callers.trust("restore")
    with_mfa = Request("sts:AssumeRole", "", {"aws:MultiFactorAuthPresent": "true"})
    assert decide(with_mfa, [trust]) is Decision.ALLOWED
    assert decide(Request("sts:AssumeRole", ""), [trust]) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("subject", "may_plan", "may_apply"),
    [
        ("repo:example/mailserver:environment:aws", False, True),
        ("repo:example/mailserver:ref:refs/heads/main", True, False),
        ("repo:example/mailserver:pull_request", True, False),
        ("repo:example@123456/mailserver@456789:environment:aws", False, True),
        ("repo:example@123456/mailserver@456789:ref:refs/heads/main", True, False),
        ("repo:example@123456/mailserver@456789:pull_request", True, False),
        ("repo:example@654321/mailserver@456789:environment:aws", False, False),
        ("repo:example@123456/mailserver@987654:pull_request", False, False),
        ("repo:example/mailserver:ref:refs/heads/feature", False, False),
        ("repo:example/mailserver:ref:refs/tags/main", False, False),
        ("repo:example/mailserver:environment:production", False, False),
        ("repo:example/mailserver-fork:ref:refs/heads/main", False, False),
        ("repo:other/mailserver:environment:aws", False, False),
    ],
)
def test_github_tokens(subject: str, may_plan: bool, may_apply: bool, callers: Callers) -> None:
    issuer = "token.actions.githubusercontent.com"
    claims = {f"{issuer}:sub": subject, f"{issuer}:aud": "sts.amazonaws.com"}
    request = Request("sts:AssumeRoleWithWebIdentity", "", claims)
    assert (decide(request, [callers.trust("plan")]) is Decision.ALLOWED) is may_plan
    assert (decide(request, [callers.trust("apply")]) is Decision.ALLOWED) is may_apply


def test_github_tokens_for_another_audience_are_refused(callers: Callers) -> None:
    issuer = "token.actions.githubusercontent.com"
    claims = {f"{issuer}:sub": "repo:example/mailserver:environment:aws", f"{issuer}:aud": "other"}
    request = Request("sts:AssumeRoleWithWebIdentity", "", claims)
    assert decide(request, [callers.trust("apply")]) is Decision.NOT_ALLOWED


def test_the_plan_role_reads_settings_and_state_and_no_backup(callers: Callers) -> None:
    assert callers.plan("s3:GetBucketPolicy", BUCKET) is Decision.ALLOWED
    assert callers.plan("s3:GetObject", STATE) is Decision.ALLOWED
    refused = [("s3:GetObject", MINE), ("s3:PutObject", STATE), ("s3:PutObject", f"{STATE}.tflock")]
    refused += [("s3:PutBucketPolicy", BUCKET), ("iam:CreateAccessKey", f"{IAM}:user/any")]
    for action, resource in refused:
        assert callers.plan(action, resource) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", MINE),
        ("s3:PutObject", MINE),
        ("s3:DeleteObject", MINE),
        ("s3:DeleteObjectVersion", MINE),
        ("s3:DeleteBucket", BUCKET),
        ("s3:PutBucketPolicy", BUCKET),
        ("s3:PutBucketAcl", BUCKET),
        ("iam:CreateAccessKey", f"{IAM}:user/mailserver-backup/{NAME}-uploader"),
        ("iam:UpdateAssumeRolePolicy", f"{IAM}:role/mailserver-backup/{NAME}-restore"),
        ("iam:PutRolePolicy", f"{IAM}:role/mailserver-backup/{NAME}-restore"),
        ("iam:CreatePolicyVersion", f"{IAM}:policy/mailserver-backup/{NAME}-boundary"),
        ("iam:DeleteUserPermissionsBoundary", f"{IAM}:user/mailserver-backup/{NAME}-uploader"),
        ("iam:PutRolePolicy", f"{IAM}:role/mailserver-backup/{NAME}-apply"),
        ("iam:AttachRolePolicy", f"{IAM}:role/mailserver-backup/{NAME}-apply"),
        ("iam:UpdateAssumeRolePolicy", f"{IAM}:role/mailserver-backup/{NAME}-plan"),
        ("iam:DeleteOpenIDConnectProvider", f"{IAM}:oidc-provider/token.actions.githubusercontent.com"),
    ],
)
def test_the_apply_role_is_explicitly_denied(action: str, resource: str, callers: Callers) -> None:
    assert callers.apply(action, resource) is Decision.DENIED


def test_the_apply_role_reaches_nothing_that_the_module_did_not_make(callers: Callers) -> None:
    for action, resource in (
        ("s3:PutBucketPolicy", "arn:aws:s3:::another-bucket"),
        ("iam:CreateUser", f"{IAM}:user/another"),
        ("iam:CreateAccessKey", f"{IAM}:user/administrator"),
        ("sns:SetTopicAttributes", "arn:aws:sns:us-east-1:123456789012:another"),
        ("cloudwatch:PutMetricAlarm", "arn:aws:cloudwatch:us-east-1:123456789012:alarm:another"),
        ("s3:PutObject", "arn:aws:s3:::another-bucket/state"),
        ("ec2:RunInstances", "*"),
    ):
        assert callers.apply(action, resource) is Decision.NOT_ALLOWED
