"""The AWS resources that the modules use: the rows of aws.yml, and what of them no name tells."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from equipment.resource import Aws, Gone, Kind, nothing
from equipment.values import State


def place(state: State) -> State:
    region = state["region"]
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def bucket(s3: Any, answer: Any, before: State, now: State) -> State:
    """What S3 says about a bucket, each in an answer of its own."""
    name = before["id"]
    lock = unless("ObjectLockConfigurationNotFoundError", s3.get_object_lock_configuration, Bucket=name)
    tags = unless("NoSuchTagSet", s3.get_bucket_tagging, Bucket=name).get("TagSet", [])
    return {
        "bucket": name,
        "region": s3.meta.region_name,
        "arn": f"arn:aws:s3:::{name}",
        "object_lock_enabled": bool(lock),
        "tags_all": {tag["Key"]: tag["Value"] for tag in tags},
    }


def unless(code: str, call: Any, **parameters: Any) -> State:
    """An answer, empty if AWS says that there is no such thing."""
    from botocore.exceptions import ClientError

    try:
        return call(**parameters)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
        return {}


def versioning(s3: Any, answer: Any, before: State, now: State) -> State:
    status = answer.get("Status", "Disabled")
    return {"versioning_configuration": [{"status": status, "mfa_delete": None}]}


def encryption(s3: Any, answer: Any, before: State, now: State) -> State:
    """moto forgets the blocked types, so what was put there is believed."""
    believed = ("blocked_encryption_types", "bucket_key_enabled")
    return {
        "rule": [{**rule, **{name: before["rule"][0][name] for name in believed}} for rule in now["rule"]]
    }


def document(iam: Any, answer: Any, before: State, now: State) -> State:
    version = iam.get_policy_version(PolicyArn=before["id"], VersionId=answer["DefaultVersionId"])
    return {"policy": version["PolicyVersion"]["Document"]}


def attachment(iam: Any, answer: Any, before: State, now: State) -> State:
    if before["policy_arn"] not in {each["PolicyArn"] for each in answer["AttachedPolicies"]}:
        raise Gone
    return {}


def table(dynamodb: Any, answer: Any, before: State, now: State) -> State:
    backups = dynamodb.describe_continuous_backups(TableName=now["name"])["ContinuousBackupsDescription"]
    status = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    return {
        "billing_mode": answer["BillingModeSummary"]["BillingMode"],
        "hash_key": answer["KeySchema"][0]["AttributeName"],
        "point_in_time_recovery": [{"enabled": status == "ENABLED", "recovery_period_in_days": None}],
        "warm_throughput": [],
    }


GIVEN: dict[str, Callable[[State], State]] = {
    "alarm": lambda state: {"AlarmNames": [state["alarm_name"]]},
    "default_version": lambda state: {"SetAsDefault": True},
    "key": lambda state: {"KeySchema": [{"AttributeName": state["hash_key"], "KeyType": "HASH"}]},
    "place": place,
    "subscription": lambda state: {"ReturnSubscriptionArn": True},
    "topic_policy": lambda state: {"AttributeName": "Policy"},
}
FOUND: dict[str, Callable[[Any, Any, State, State], State]] = {
    "arn": lambda client, answer, before, now: {"arn": before["id"]},
    "attachment": attachment,
    # moto forgets the boundary of a user (not of a role), so what was put there is believed
    "believed_boundary": lambda client, answer, before, now: {
        "permissions_boundary": before["permissions_boundary"]
    },
    "boundary": lambda client, answer, before, now: {
        "permissions_boundary": answer.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    },
    "bucket": bucket,
    "document": document,
    "encryption": encryption,
    "table": table,
    "topic": lambda client, answer, before, now: {"arn": now["id"], "name": now["id"].rsplit(":", 1)[1]},
    "url": lambda client, answer, before, now: {"arn": before["id"], "url": before["url"]},
    "versioning": versioning,
}


def kinds() -> dict[str, Kind]:
    rows = yaml.safe_load(Path(__file__).with_name("aws.yml").read_text())
    for row in rows.values():
        row["given"] = GIVEN[row["given"]] if "given" in row else nothing
        row["found"] = FOUND[row["found"]] if "found" in row else nothing
    return {name: Kind(**row) for name, row in rows.items()}


RESOURCES = kinds()


def caller_identity(aws: Aws) -> State:
    found = aws.client("sts").get_caller_identity()
    return {
        "id": found["Account"],
        "account_id": found["Account"],
        "arn": found["Arn"],
        "user_id": found["UserId"],
    }


DATA_SOURCES = {"aws_caller_identity": caller_identity}
