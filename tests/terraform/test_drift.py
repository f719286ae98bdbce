"""What somebody changes by hand is found by the next plan and fixed by the next apply."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from equipment.cloud import Cloud
from equipment.template import ANSWERS
from equipment.workspace import Workspace

BUCKET = ANSWERS["backup_bucket"]
NAME = "mailserver-production"
ANYONE = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}],
}
ANY_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
TOPIC = f"arn:aws:sns:us-east-1:123456789012:{NAME}-cost"
POLICY = f"arn:aws:iam::123456789012:policy/mailserver-backup/{NAME}-uploader"

Change = Callable[[Cloud], Any]


@dataclass(frozen=True)
class Drift:
    """A change by hand, and the resource that has to notice."""

    address: str
    change: Change


def s3(method: str, **arguments: Any) -> Change:
    return lambda cloud: getattr(cloud.client("s3"), method)(Bucket=BUCKET, **arguments)


def iam(method: str, **arguments: Any) -> Change:
    return lambda cloud: getattr(cloud.client("iam"), method)(**arguments)


def shorter_lock(cloud: Cloud) -> None:
    one_day = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": one_day}
    cloud.client("s3").put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=configuration)


def weaker_lock(cloud: Cloud) -> None:
    governance = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": governance}
    cloud.client("s3").put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration=configuration)


def wider_policy(cloud: Cloud) -> None:
    cloud.client("iam").create_policy_version(
        PolicyArn=POLICY, PolicyDocument=json.dumps(ANYONE), SetAsDefault=True
    )


def silenced_alarm(cloud: Cloud) -> None:
    cloud.client("cloudwatch", "us-east-1").disable_alarm_actions(AlarmNames=[f"{NAME}-cost"])


def raised_budget(cloud: Cloud) -> None:
    cloudwatch = cloud.client("cloudwatch", "us-east-1")
    alarm = cloudwatch.describe_alarms(AlarmNames=[f"{NAME}-cost"])["MetricAlarms"][0]
    kept = ("AlarmName", "AlarmActions", "OKActions", "MetricName", "Namespace", "Statistic", "Dimensions")
    kept += ("Period", "EvaluationPeriods", "ComparisonOperator", "TreatMissingData")
    cloudwatch.put_metric_alarm(**{name: alarm[name] for name in kept}, Threshold=100000.0)


def removed_alarm(cloud: Cloud) -> None:
    cloud.client("cloudwatch", "us-east-1").delete_alarms(AlarmNames=[f"{NAME}-cost"])


def open_topic(cloud: Cloud) -> None:
    cloud.client("sns", "us-east-1").set_topic_attributes(
        TopicArn=TOPIC, AttributeName="Policy", AttributeValue=json.dumps(ANYONE)
    )


def removed_subscription(cloud: Cloud) -> None:
    sns = cloud.client("sns", "us-east-1")
    for each in sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]:
        sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


DRIFTS = {
    "the lock is shortened": Drift("aws_s3_bucket_object_lock_configuration.backup", shorter_lock),
    "the lock is weakened": Drift("aws_s3_bucket_object_lock_configuration.backup", weaker_lock),
    "versioning is suspended": Drift(
        "aws_s3_bucket_versioning.backup",
        s3("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
    ),
    "default encryption is removed": Drift(
        "aws_s3_bucket_server_side_encryption_configuration.backup", s3("delete_bucket_encryption")
    ),
    "public access is opened": Drift(
        "aws_s3_bucket_public_access_block.backup",
        s3("put_public_access_block", PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
    ),
    "the public access block is removed": Drift(
        "aws_s3_bucket_public_access_block.backup", s3("delete_public_access_block")
    ),
    "ACLs are turned on": Drift(
        "aws_s3_bucket_ownership_controls.backup",
        s3(
            "put_bucket_ownership_controls",
            OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        ),
    ),
    "the bucket policy is removed": Drift("aws_s3_bucket_policy.backup", s3("delete_bucket_policy")),
    "the bucket policy is opened": Drift(
        "aws_s3_bucket_policy.backup", s3("put_bucket_policy", Policy=json.dumps(ANYONE))
    ),
    "the lifecycle is removed": Drift(
        "aws_s3_bucket_lifecycle_configuration.backup", s3("delete_bucket_lifecycle")
    ),
    "the bucket loses its tags": Drift("aws_s3_bucket.backup", s3("delete_bucket_tagging")),
    "the uploader's policy is widened": Drift("aws_iam_policy.uploader", wider_policy),
    "the uploader's policy is taken away": Drift(
        "aws_iam_user_policy_attachment.uploader",
        iam("detach_user_policy", UserName=f"{NAME}-uploader", PolicyArn=POLICY),
    ),
    "the restore role trusts anyone": Drift(
        "aws_iam_role.restore",
        iam(
            "update_assume_role_policy",
            RoleName=f"{NAME}-restore",
            PolicyDocument=json.dumps(ANY_TRUST),
        ),
    ),
    "the restore role may do more": Drift(
        "aws_iam_role_policy.restore",
        iam(
            "put_role_policy",
            RoleName=f"{NAME}-restore",
            PolicyName="read-backups",
            PolicyDocument=json.dumps(ANYONE),
        ),
    ),
    "the apply role trusts every branch": Drift(
        "aws_iam_role.apply[0]",
        iam(
            "update_assume_role_policy",
            RoleName=f"{NAME}-apply",
            PolicyDocument=json.dumps(ANY_TRUST),
        ),
    ),
    "the alarm is silenced": Drift("aws_cloudwatch_metric_alarm.cost", silenced_alarm),
    "the budget is raised": Drift("aws_cloudwatch_metric_alarm.cost", raised_budget),
    "the alarm is removed": Drift("aws_cloudwatch_metric_alarm.cost", removed_alarm),
    "the topic is opened": Drift("aws_sns_topic_policy.cost", open_topic),
    "nobody is told": Drift("aws_sns_topic_subscription.cost", removed_subscription),
}


def rounds() -> list[dict[str, Drift]]:
    """The drifts in as few groups as go together: in each group a resource is changed once."""
    groups: list[dict[str, Drift]] = []
    for name, drift in DRIFTS.items():
        for group in groups:
            if drift.address not in {other.address for other in group.values()}:
                group[name] = drift
                break
        else:
            groups.append({name: drift})
    return groups


@dataclass(frozen=True)
class Repair:
    """What Terraform meant to change after a group of drifts, and what was left to do afterwards."""

    made: set[str]
    found: set[str]
    left: set[str]


@pytest.fixture(scope="module")
def repairs(applied: Workspace, cloud: Cloud) -> dict[str, Repair]:
    results: dict[str, Repair] = {}
    for group in rounds():
        for drift in group.values():
            drift.change(cloud)
        applied.plan(codes=(2,))
        found = set(applied.planned_changes())
        applied.apply()
        applied.plan()
        repair = Repair({drift.address for drift in group.values()}, found, set(applied.planned_changes()))
        results.update(dict.fromkeys(group, repair))
    return results


@pytest.mark.parametrize("name", DRIFTS)
def test_a_change_by_hand_is_found(name: str, repairs: dict[str, Repair]) -> None:
    assert DRIFTS[name].address in repairs[name].found


@pytest.mark.parametrize("name", DRIFTS)
def test_a_change_by_hand_is_repaired(name: str, repairs: dict[str, Repair]) -> None:
    assert DRIFTS[name].address not in repairs[name].left


def test_what_nobody_touched_is_left_alone(repairs: dict[str, Repair]) -> None:
    for repair in repairs.values():
        assert repair.found == repair.made
        assert repair.left == set()
