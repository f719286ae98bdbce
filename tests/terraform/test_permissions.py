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
LEFT = "s3:object-lock-remaining-retention-days"
LOCKED = {"s3:object-lock-mode": "COMPLIANCE", LEFT: str(2 * DAYS)}
EVERYTHING: Document = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
UPLOADER = f"{IAM}:user/mailserver-backup/{NAME}-uploader"
ROLE = f"{IAM}:role/mailserver-backup/{NAME}"


def calls(table: dict[str, str]) -> list[tuple[str, str]]:
    """Action and resource of each call of a table: resource, and its actions."""
    return [(action, resource) for resource, actions in table.items() for action in actions.split()]


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
    ("actions", "resource", "context"),
    [
        ("PutObject", MINE, ENCRYPTED),
        ("PutObject GetObject GetObjectRetention AbortMultipartUpload ListMultipartUploadParts", MINE, TLS),
        ("ListBucket", BUCKET, {**TLS, "s3:prefix": "mailserver/daily/"}),
        ("GetBucketObjectLockConfiguration GetBucketVersioning GetEncryptionConfiguration", BUCKET, TLS),
        ("PutObject PutObjectRetention", DATA, {**TLS, **LOCKED}),
    ],
)
def test_the_uploader_may(actions: str, resource: str, context: dict[str, str], callers: Callers) -> None:
    found = {action: callers.uploader(f"s3:{action}", resource, context) for action in actions.split()}
    assert found == dict.fromkeys(actions.split(), Decision.ALLOWED)


DENIED_TO_THE_UPLOADER = calls(
    {
        MINE: """
            s3:DeleteObject s3:DeleteObjectVersion s3:DeleteObjectTagging s3:PutObjectRetention
            s3:PutObjectLegalHold s3:BypassGovernanceRetention s3:PutObjectAcl s3:PutObjectVersionAcl
            s3:GetObjectVersion""",
        f"{BUCKET}/another-host/mail.tar.zst": "s3:PutObject s3:GetObject",
        f"{BUCKET}/mailserver": "s3:PutObject",
        STATE: "s3:GetObject",
        BUCKET: """
            s3:DeleteBucket s3:PutBucketPolicy s3:DeleteBucketPolicy s3:PutBucketVersioning s3:PutBucketAcl
            s3:PutBucketObjectLockConfiguration s3:PutBucketOwnershipControls s3:PutBucketPublicAccessBlock
            s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration s3:PutReplicationConfiguration""",
        "*": "s3:ListAllMyBuckets",
        UPLOADER: "iam:CreateAccessKey",
        f"{ROLE}-restore": "sts:AssumeRole",
    }
)


@pytest.mark.parametrize(("action", "resource"), DENIED_TO_THE_UPLOADER)
def test_the_uploader_is_explicitly_denied(action: str, resource: str, callers: Callers) -> None:
    assert callers.uploader(action, resource, ENCRYPTED) is Decision.DENIED


@pytest.mark.parametrize(
    ("mode", "days"),
    [("GOVERNANCE", 2 * DAYS), ("COMPLIANCE", DAYS - 1), ("COMPLIANCE", 36500)],
    ids=["weaker", "shorter", "for a century"],
)
def test_the_uploader_cannot_lock_data(mode: str, days: int, callers: Callers) -> None:
    lock = {"s3:object-lock-mode": mode, LEFT: str(days)}
    assert callers.uploader("s3:PutObjectRetention", DATA, {**TLS, **lock}) is Decision.DENIED


def test_the_uploader_cannot_list_other_prefixes(callers: Callers) -> None:
    for prefix in ("", "another-host/", "mailserver"):
        decision = callers.uploader("s3:ListBucket", BUCKET, {**TLS, "s3:prefix": prefix})
        assert decision is Decision.NOT_ALLOWED
    assert callers.uploader("s3:ListBucket", BUCKET, TLS) is Decision.NOT_ALLOWED


def test_a_policy_that_is_added_by_hand_does_not_lift_the_uploader_over_its_boundary(
    callers: Callers,
) -> None:
    boundary = callers.managed("boundary")
    for action in ("s3:DeleteObject", "s3:PutBucketPolicy", "s3:PutObjectLegalHold", "iam:CreateUser"):
        assert decide(Request(action, MINE, TLS), [EVERYTHING], boundary) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("why", "action", "context"),
    [
        ("plain HTTP", "s3:GetObject", {"aws:SecureTransport": "false"}),
        ("old TLS", "s3:GetObject", {"s3:TlsVersion": "1.1"}),
        ("a key of someone else's", "s3:PutObject", {"s3:x-amz-server-side-encryption": "aws:kms"}),
        ("a shorter retention", "s3:PutObject", {LEFT: str(DAYS - 1)}),
        ("a retention for a century", "s3:PutObject", {LEFT: "36500"}),
        ("retention shortened later", "s3:PutObjectRetention", {LEFT: "1"}),
        ("a weaker mode", "s3:PutObject", {"s3:object-lock-mode": "GOVERNANCE"}),
        ("a bypass", "s3:BypassGovernanceRetention", {}),
    ],
)
def test_the_bucket_refuses_even_an_administrator(
    why: str, action: str, context: dict[str, str], callers: Callers
) -> None:
    request = Request(action, MINE, {**(ENCRYPTED if action == "s3:PutObject" else TLS), **context})
    decision = decide(request, [EVERYTHING, callers.bucket_policy])
    assert decision is Decision.DENIED, why


def test_a_longer_retention_in_compliance_mode_is_welcome(callers: Callers) -> None:
    longer = {"s3:object-lock-mode": "COMPLIANCE", LEFT: str(DAYS)}
    request = Request("s3:PutObject", MINE, {**ENCRYPTED, **longer})
    assert decide(request, [EVERYTHING, callers.bucket_policy]) is Decision.ALLOWED


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


REPOSITORY, IMMUTABLE = "repo:example/mailserver", "repo:example@123456/mailserver@456789"
MAY_PLAN = [
    f"{name}:{ref}" for name in (REPOSITORY, IMMUTABLE) for ref in ("ref:refs/heads/main", "pull_request")
]
MAY_APPLY = [f"{name}:environment:aws" for name in (REPOSITORY, IMMUTABLE)]
STRANGERS = [
    "repo:example@654321/mailserver@456789:environment:aws",
    "repo:example@123456/mailserver@987654:pull_request",
    f"{REPOSITORY}:ref:refs/heads/feature",
    f"{REPOSITORY}:ref:refs/tags/main",
    f"{REPOSITORY}:environment:production",
    f"{REPOSITORY}-fork:ref:refs/heads/main",
    "repo:other/mailserver:environment:aws",
]


@pytest.mark.parametrize("subject", [*MAY_PLAN, *MAY_APPLY, *STRANGERS])
def test_github_tokens(subject: str, callers: Callers) -> None:
    issuer = "token.actions.githubusercontent.com"
    claims = {f"{issuer}:sub": subject, f"{issuer}:aud": "sts.amazonaws.com"}
    request = Request("sts:AssumeRoleWithWebIdentity", "", claims)
    assert (decide(request, [callers.trust("plan")]) is Decision.ALLOWED) is (subject in MAY_PLAN)
    assert (decide(request, [callers.trust("apply")]) is Decision.ALLOWED) is (subject in MAY_APPLY)


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


DENIED_TO_APPLY = calls(
    {
        MINE: "s3:GetObject s3:PutObject s3:DeleteObject s3:DeleteObjectVersion",
        BUCKET: "s3:DeleteBucket s3:PutBucketPolicy s3:PutBucketAcl",
        UPLOADER: "iam:CreateAccessKey iam:DeleteUserPermissionsBoundary",
        f"{ROLE}-restore": "iam:UpdateAssumeRolePolicy iam:PutRolePolicy",
        f"{ROLE}-plan": "iam:UpdateAssumeRolePolicy",
        f"{ROLE}-apply": "iam:PutRolePolicy iam:AttachRolePolicy",
        f"{IAM}:policy/mailserver-backup/{NAME}-boundary": "iam:CreatePolicyVersion",
        f"{IAM}:oidc-provider/token.actions.githubusercontent.com": "iam:DeleteOpenIDConnectProvider",
    }
)
UNREACHABLE_FOR_APPLY = calls(
    {
        "arn:aws:s3:::another-bucket": "s3:PutBucketPolicy",
        "arn:aws:s3:::another-bucket/state": "s3:PutObject",
        f"{IAM}:user/another": "iam:CreateUser",
        f"{IAM}:user/administrator": "iam:CreateAccessKey",
        "arn:aws:sns:us-east-1:123456789012:another": "sns:SetTopicAttributes",
        "arn:aws:cloudwatch:us-east-1:123456789012:alarm:another": "cloudwatch:PutMetricAlarm",
        "*": "ec2:RunInstances",
    }
)


@pytest.mark.parametrize(("action", "resource"), DENIED_TO_APPLY)
def test_the_apply_role_is_explicitly_denied(action: str, resource: str, callers: Callers) -> None:
    assert callers.apply(action, resource) is Decision.DENIED


@pytest.mark.parametrize(("action", "resource"), UNREACHABLE_FOR_APPLY)
def test_the_apply_role_reaches_nothing_that_the_module_did_not_make(
    action: str, resource: str, callers: Callers
) -> None:
    assert callers.apply(action, resource) is Decision.NOT_ALLOWED
