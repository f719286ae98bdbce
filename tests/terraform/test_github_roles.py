"""The GitHub roles are enough for their work: every call of a plan and of an apply is allowed to them."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from conftest import PATH_STYLE, MakeWorkspace
from equipment.cloud import Cloud
from equipment.policies import Decision, Document, Request, decide
from equipment.template import ANSWERS
from equipment.workspace import Workspace

NAME = "mailserver-production"
IAM = "arn:aws:iam::123456789012"
BOUNDARY = f"{IAM}:policy/mailserver-backup/{NAME}-boundary"
# IAM names some of S3's calls otherwise than S3 does.
ACTIONS = {
    "HeadBucket": "ListBucket",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
}
IDENTITIES = {"UserName": "user", "RoleName": "role", "PolicyName": "policy"}
TOPICS = "sns:us-east-1:123456789012"
CHANGED = ("-var=backup_prefix=other/", "-var=monthly_budget_usd=20")
#: What is for an administrator: the lock, and with it the bucket's policy.
LOCKED = "-var=object_lock_days=31"


def resource(service: str, params: dict[str, Any]) -> str:
    """The ARN that a call is about."""
    if service == "s3":
        return f"arn:aws:s3:::{params['Bucket']}"
    if service == "iam":
        for name, kind in IDENTITIES.items():
            if name in params:
                return f"{IAM}:{kind}/mailserver-backup/{params[name]}"
        return params.get("PolicyArn", f"{IAM}:oidc-provider/token.actions.githubusercontent.com")
    arns = ("ResourceArn", "ResourceARN", "TopicArn", "SubscriptionArn")
    kind = "cloudwatch:us-east-1:123456789012:alarm" if service == "monitoring" else TOPICS
    return next((params[name] for name in arns if name in params), f"arn:aws:{kind}:{NAME}-cost")


def request(call: dict[str, Any]) -> Request:
    service, operation = call["service"], call["operation"]
    action = ACTIONS.get(operation, operation) if service == "s3" else operation
    prefix = "cloudwatch" if service == "monitoring" else service
    context = {"iam:PermissionsBoundary": BOUNDARY}
    return Request(f"{prefix}:{action}", resource(service, call["params"]), context)


class Recording:
    """A module whose calls to AWS are written down."""

    def __init__(self, module: Workspace, file: Path) -> None:
        self.module, self.file = module, file
        module.environment["STANDIN_CALLS"] = str(file)

    def calls(self) -> list[Request]:
        """The calls since the last look, without those that need no permission."""
        lines = self.file.read_text().splitlines()
        self.file.unlink()
        found = [json.loads(line) for line in lines]
        return [request(call) for call in found if call["service"] != "sts"]


@pytest.fixture(scope="module")
def recording(state_bucket: str, workspace: MakeWorkspace, tmp_path_factory: Any) -> Recording:
    module = workspace()
    module.init(PATH_STYLE)
    recording = Recording(module, tmp_path_factory.mktemp("calls") / "calls.jsonl")
    recording.module.plan_and_apply()
    return recording


@pytest.fixture(scope="module")
def first_apply(recording: Recording) -> list[Request]:
    return recording.calls()


@pytest.fixture(scope="module")
def roles(first_apply: list[Request], recording: Recording, cloud: Cloud) -> dict[str, Document]:
    """The roles' policies, once an administrator has made the roles."""
    recording.module.environment["TF_VAR_github_repository"] = "example/mailserver"
    recording.module.plan_and_apply()
    recording.calls()
    iam = cloud.client("iam")
    names = {"plan": "read", "apply": "apply"}
    return {
        role: iam.get_role_policy(RoleName=f"{NAME}-{role}", PolicyName=policy)["PolicyDocument"]
        for role, policy in names.items()
    }


def refused(calls: Iterable[Request], role: Document) -> set[str]:
    return {
        f"{call.action} {call.resource}" for call in calls if decide(call, [role]) is not Decision.ALLOWED
    }


def test_the_plan_role_may_make_every_call_of_a_plan(
    recording: Recording, roles: dict[str, Document]
) -> None:
    recording.module.plan("-lock=false")
    calls = recording.calls()
    assert len(calls) > 25
    assert refused(calls, roles["plan"]) == set()


def test_the_apply_role_may_make_every_call_of_an_update(
    recording: Recording, roles: dict[str, Document]
) -> None:
    recording.module.plan_and_apply(*CHANGED)
    calls = recording.calls()
    written = {call.action for call in calls if ":Get" not in call.action and ":List" not in call.action}
    assert {"s3:PutLifecycleConfiguration", "iam:CreatePolicyVersion", "cloudwatch:PutMetricAlarm"} <= written
    assert refused(calls, roles["apply"]) == set()


def test_a_change_of_the_lock_or_of_an_identity_is_for_an_administrator(
    recording: Recording, roles: dict[str, Document]
) -> None:
    recording.module.plan_and_apply(*CHANGED, LOCKED)
    actions = {call.partition(" ")[0] for call in refused(recording.calls(), roles["apply"])}
    assert actions == {"s3:PutBucketPolicy", "s3:PutBucketObjectLockConfiguration"}


def test_the_bucket_that_is_planned_for_is_the_one_of_the_answers(first_apply: list[Request]) -> None:
    buckets = {call.resource for call in first_apply if call.action.startswith("s3:")}
    assert buckets == {f"arn:aws:s3:::{ANSWERS['backup_bucket']}"}
