"""What somebody changes by hand is found by the next plan and fixed by the next apply."""

import json
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


@dataclass(frozen=True)
class Drift:
    """A change by hand, as a call of boto3, and the resource that has to notice."""

    address: str
    service: str
    method: str
    arguments: dict[str, Any]

    def change(self, cloud: Cloud) -> None:
        region = ANSWERS["aws_region"] if self.service in ("s3", "iam") else "us-east-1"
        getattr(cloud.client(self.service, region), self.method)(**self.arguments)


class Unsubscribed(Drift):
    """Its ARN is known only now."""

    def change(self, cloud: Cloud) -> None:
        sns = cloud.client("sns", "us-east-1")
        for each in sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]:
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def s3(setting: str, method: str, **arguments: Any) -> Drift:
    return Drift(f"aws_s3_bucket{setting}.backup", "s3", method, {"Bucket": BUCKET, **arguments})


def lock(mode: str, days: int) -> Drift:
    rule = {"DefaultRetention": {"Mode": mode, "Days": days}}
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    method = "put_object_lock_configuration"
    return s3("_object_lock_configuration", method, ObjectLockConfiguration=configuration)


def iam(address: str, method: str, **arguments: Any) -> Drift:
    return Drift(address, "iam", method, arguments)


def trust(role: str, address: str) -> Drift:
    arguments = {"RoleName": f"{NAME}-{role}", "PolicyDocument": json.dumps(ANY_TRUST)}
    return iam(address, "update_assume_role_policy", **arguments)


def alarm(method: str, **arguments: Any) -> Drift:
    return Drift("aws_cloudwatch_metric_alarm.cost", "cloudwatch", method, arguments)


ALARM = f"{NAME}-cost"
NO_ACLS = {"BlockPublicAcls": False}
OWNED = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
OPEN = json.dumps(ANYONE)
RAISED = {
    "AlarmName": ALARM,
    "MetricName": "EstimatedCharges",
    "Namespace": "AWS/Billing",
    "Statistic": "Maximum",
    "Period": 21600,
    "EvaluationPeriods": 1,
    "ComparisonOperator": "GreaterThanThreshold",
    "Threshold": 100000.0,
}
UPLOADER = {"UserName": f"{NAME}-uploader", "PolicyArn": POLICY}
RESTORE = {"RoleName": f"{NAME}-restore", "PolicyName": "read-backups"}
DRIFTS = {
    "the lock is shortened": lock("COMPLIANCE", 1),
    "the lock is weakened": lock("GOVERNANCE", 30),
    "versioning is suspended": s3(
        "_versioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}
    ),
    "default encryption is removed": s3("_server_side_encryption_configuration", "delete_bucket_encryption"),
    "public access is opened": s3(
        "_public_access_block", "put_public_access_block", PublicAccessBlockConfiguration=NO_ACLS
    ),
    "the public access block is removed": s3("_public_access_block", "delete_public_access_block"),
    "ACLs are turned on": s3("_ownership_controls", "put_bucket_ownership_controls", OwnershipControls=OWNED),
    "the bucket policy is removed": s3("_policy", "delete_bucket_policy"),
    "the bucket policy is opened": s3("_policy", "put_bucket_policy", Policy=OPEN),
    "the lifecycle is removed": s3("_lifecycle_configuration", "delete_bucket_lifecycle"),
    "the bucket loses its tags": s3("", "delete_bucket_tagging"),
    "the uploader's policy is widened": iam(
        "aws_iam_policy.uploader",
        "create_policy_version",
        PolicyArn=POLICY,
        PolicyDocument=OPEN,
        SetAsDefault=True,
    ),
    "the uploader's policy is taken away": iam(
        "aws_iam_user_policy_attachment.uploader", "detach_user_policy", **UPLOADER
    ),
    "the restore role trusts anyone": trust("restore", "aws_iam_role.restore"),
    "the restore role may do more": iam(
        "aws_iam_role_policy.restore", "put_role_policy", **RESTORE, PolicyDocument=OPEN
    ),
    "the apply role trusts every branch": trust("apply", "aws_iam_role.apply[0]"),
    "the alarm is silenced": alarm("disable_alarm_actions", AlarmNames=[ALARM]),
    "the budget is raised": alarm("put_metric_alarm", **RAISED),
    "the alarm is removed": alarm("delete_alarms", AlarmNames=[ALARM]),
    "the topic is opened": Drift(
        "aws_sns_topic_policy.cost",
        "sns",
        "set_topic_attributes",
        {"TopicArn": TOPIC, "AttributeName": "Policy", "AttributeValue": OPEN},
    ),
    "nobody is told": Unsubscribed("aws_sns_topic_subscription.cost", "sns", "unsubscribe", {}),
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
def test_a_change_by_hand_is_found_and_repaired(name: str, repairs: dict[str, Repair]) -> None:
    assert DRIFTS[name].address in repairs[name].found - repairs[name].left


def test_what_nobody_touched_is_left_alone(repairs: dict[str, Repair]) -> None:
    for repair in repairs.values():
        assert repair.found == repair.made
        assert repair.left == set()
