"""The AWS resources that the modules use: a row of calls each, and what of them no name tells."""

from typing import Any

from equipment.resource import Aws, Gone, Kind
from equipment.values import State


def bucket_region(state: State) -> State:
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


def policy(iam: Any, answer: Any, before: State, now: State) -> State:
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


def setting(put: str, get: str, delete: str | None, missing: str = "", **more: Any) -> Kind:
    """Something that is put on a bucket as a whole; its id is the bucket's name."""
    gone = ("NoSuchBucket", missing)
    replaces = ("bucket", "region")
    return Kind("s3", (put,), get, delete, (put,), id="{bucket}", gone=gone, replaces=replaces, **more)


def iam(create: str, read: str, delete: str, update: tuple[str, ...] = (), **more: Any) -> Kind:
    return Kind("iam", (create,), read, delete, update, gone=("NoSuchEntity",), **more)


def sns(create: str, read: str, delete: str | None, update: tuple[str, ...] = (), **more: Any) -> Kind:
    gone = ("NotFound", "NotFoundException")
    return Kind("sns", (create,), read, delete, update, gone=gone, part="Attributes", **more)


RESOURCES: dict[str, Kind] = {
    "aws_cloudwatch_metric_alarm": Kind(
        "cloudwatch",
        ("put_metric_alarm",),
        "describe_alarms",
        "delete_alarms",
        ("put_metric_alarm",),
        id="{alarm_name}",
        names={"AlarmArn": "arn", "ResourceARN": "arn", "Tags": "tags_all"},
        part="MetricAlarms",
        given=lambda state: {"AlarmNames": [state["alarm_name"]]},
        tags="list_tags_for_resource",
        replaces=("alarm_name", "region"),
        defaults={"actions_enabled": True, "treat_missing_data": "missing"},
    ),
    "aws_dynamodb_table": Kind(
        "dynamodb",
        ("create_table", "update_continuous_backups"),
        "describe_table",
        "delete_table",
        names={
            "TableName": "name",
            "TableArn": "arn",
            "ResourceArn": "arn",
            "Tags": "tags_all",
            "KeySchema": "hash_key",
            "AttributeDefinitions": "attribute",
            "AttributeName": "name",
            "AttributeType": "type",
            "PointInTimeRecoverySpecification": "point_in_time_recovery",
            "PointInTimeRecoveryEnabled": "enabled",
        },
        part="Table",
        given=lambda state: {"KeySchema": [{"AttributeName": state["hash_key"], "KeyType": "HASH"}]},
        found=table,
        tags="list_tags_of_resource",
        gone=("ResourceNotFoundException",),
        replaces=("name", "hash_key", "region"),
        defaults={"billing_mode": "PROVISIONED", "deletion_protection_enabled": False},
    ),
    "aws_iam_openid_connect_provider": iam(
        "create_open_id_connect_provider",
        "get_open_id_connect_provider",
        "delete_open_id_connect_provider",
        id="{OpenIDConnectProviderArn}",
        names={"OpenIDConnectProviderArn": "id", "Tags": "tags_all"},
        found=lambda client, answer, before, now: {"arn": before["id"], "url": before["url"]},
        replaces=("url",),
    ),
    "aws_iam_policy": iam(
        "create_policy",
        "get_policy",
        "delete_policy",
        ("create_policy_version",),
        id="{Arn}",
        names={"PolicyName": "name", "PolicyDocument": "policy", "PolicyArn": "id", "Tags": "tags_all"},
        part="Policy",
        given=lambda state: {"SetAsDefault": True},
        found=policy,
        replaces=("name", "path", "description"),
        defaults={"path": "/"},
        json=("policy",),
    ),
    "aws_iam_role": iam(
        "create_role",
        "get_role",
        "delete_role",
        ("update_assume_role_policy", "update_role"),
        names={
            "RoleName": "name",
            "AssumeRolePolicyDocument": "assume_role_policy",
            "PolicyDocument": "assume_role_policy",
            "Tags": "tags_all",
        },
        part="Role",
        found=lambda client, answer, before, now: {
            "permissions_boundary": answer.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        },
        replaces=("name", "path"),
        defaults={"path": "/", "force_detach_policies": False, "max_session_duration": 3600},
        json=("assume_role_policy",),
    ),
    "aws_iam_role_policy": iam(
        "put_role_policy",
        "get_role_policy",
        "delete_role_policy",
        ("put_role_policy",),
        id="{role}:{name}",
        names={"RoleName": "role", "PolicyName": "name", "PolicyDocument": "policy"},
        replaces=("name", "role"),
        json=("policy",),
    ),
    "aws_iam_user": iam(
        "create_user",
        "get_user",
        "delete_user",
        names={"UserName": "name", "Tags": "tags_all"},
        part="User",
        # moto forgets the boundary of a user (not of a role), so what was put there is believed
        found=lambda client, answer, before, now: {"permissions_boundary": before["permissions_boundary"]},
        replaces=("path",),
        defaults={"path": "/", "force_destroy": False},
    ),
    "aws_iam_user_policy_attachment": iam(
        "attach_user_policy",
        "list_attached_user_policies",
        "detach_user_policy",
        id="{user}-{policy_arn}",
        names={"UserName": "user"},
        found=attachment,
        replaces=("user", "policy_arn"),
    ),
    "aws_s3_bucket": Kind(
        "s3",
        ("create_bucket", "put_bucket_tagging"),
        "head_bucket",
        "delete_bucket",
        ("put_bucket_tagging",),
        id="{bucket}",
        names={"ObjectLockEnabledForBucket": "object_lock_enabled", "TagSet": "tags_all"},
        inside="Tagging",
        given=bucket_region,
        found=bucket,
        gone=("404", "NoSuchBucket"),
        replaces=("bucket", "bucket_prefix", "object_lock_enabled", "region"),
        defaults={"force_destroy": False, "object_lock_enabled": False},
    ),
    "aws_s3_bucket_lifecycle_configuration": setting(
        "put_bucket_lifecycle_configuration",
        "get_bucket_lifecycle_configuration",
        "delete_bucket_lifecycle",
        "NoSuchLifecycleConfiguration",
        inside="LifecycleConfiguration",
        defaults={"transition_default_minimum_object_size": "all_storage_classes_128K"},
    ),
    "aws_s3_bucket_object_lock_configuration": setting(
        "put_object_lock_configuration",
        "get_object_lock_configuration",
        None,
        "ObjectLockConfigurationNotFoundError",
        inside="ObjectLockConfiguration",
        part="ObjectLockConfiguration",
        defaults={"object_lock_enabled": "Enabled"},
    ),
    "aws_s3_bucket_ownership_controls": setting(
        "put_bucket_ownership_controls",
        "get_bucket_ownership_controls",
        "delete_bucket_ownership_controls",
        "OwnershipControlsNotFoundError",
        inside="OwnershipControls",
        part="OwnershipControls",
    ),
    "aws_s3_bucket_policy": setting(
        "put_bucket_policy",
        "get_bucket_policy",
        "delete_bucket_policy",
        "NoSuchBucketPolicy",
        json=("policy",),
    ),
    "aws_s3_bucket_public_access_block": setting(
        "put_public_access_block",
        "get_public_access_block",
        "delete_public_access_block",
        "NoSuchPublicAccessBlockConfiguration",
        inside="PublicAccessBlockConfiguration",
        part="PublicAccessBlockConfiguration",
    ),
    "aws_s3_bucket_server_side_encryption_configuration": setting(
        "put_bucket_encryption",
        "get_bucket_encryption",
        "delete_bucket_encryption",
        "ServerSideEncryptionConfigurationNotFoundError",
        inside="ServerSideEncryptionConfiguration",
        part="ServerSideEncryptionConfiguration",
        found=encryption,
    ),
    "aws_s3_bucket_versioning": setting(
        "put_bucket_versioning", "get_bucket_versioning", None, found=versioning
    ),
    "aws_sns_topic": sns(
        "create_topic",
        "get_topic_attributes",
        "delete_topic",
        id="{TopicArn}",
        names={"TopicArn": "id", "ResourceArn": "id", "Tags": "tags_all"},
        found=lambda client, answer, before, now: {"arn": now["id"], "name": now["id"].rsplit(":", 1)[1]},
        tags="list_tags_for_resource",
        replaces=("name", "region"),
    ),
    "aws_sns_topic_policy": sns(
        "set_topic_attributes",
        "get_topic_attributes",
        None,
        ("set_topic_attributes",),
        id="{arn}",
        names={"TopicArn": "arn", "AttributeValue": "policy"},
        given=lambda state: {"AttributeName": "Policy"},
        replaces=("arn", "region"),
        json=("policy",),
    ),
    "aws_sns_topic_subscription": sns(
        "subscribe",
        "get_subscription_attributes",
        "unsubscribe",
        id="{SubscriptionArn}",
        names={"SubscriptionArn": "id"},
        given=lambda state: {"ReturnSubscriptionArn": True},
        found=lambda client, answer, before, now: {"arn": before["id"]},
        replaces=("topic_arn", "protocol", "endpoint", "region"),
    ),
}


def caller_identity(aws: Aws) -> State:
    found = aws.client("sts").get_caller_identity()
    return {
        "id": found["Account"],
        "account_id": found["Account"],
        "arn": found["Arn"],
        "user_id": found["UserId"],
    }


DATA_SOURCES = {"aws_caller_identity": caller_identity}
