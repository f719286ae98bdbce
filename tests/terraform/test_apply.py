"""The document's workflow on an empty account: plan, apply of exactly that plan, and what is then there."""

import json
from typing import Any

import pytest
from equipment.cloud import Cloud
from equipment.template import ANSWERS
from equipment.workspace import Workspace

BUCKET = ANSWERS["backup_bucket"]
NAME = "mailserver-production"
TAGS = {
    "Project": "mailserver-backup",
    "Environment": "production",
    "ManagedBy": "terraform",
    "Owner": "admin",
}


@pytest.fixture(scope="module")
def s3(applied: Workspace, cloud: Cloud) -> Any:
    return cloud.client("s3")


@pytest.fixture(scope="module")
def iam(applied: Workspace, cloud: Cloud) -> Any:
    return cloud.client("iam")


def test_a_second_plan_changes_nothing(applied: Workspace) -> None:
    assert applied.plan().code == 0
    assert applied.planned_changes() == {}


def test_apply_takes_the_plan_that_was_reviewed_even_if_the_files_changed_since(
    applied: Workspace, cloud: Cloud
) -> None:
    applied.plan("-var=monthly_budget_usd=20")
    file = applied.folder / "variables.tf"
    original = file.read_text()
    file.write_text(original.replace("= 10\n", "= 99\n"))
    applied.apply()
    file.write_text(original)
    alarm = cloud.client("cloudwatch", "us-east-1").describe_alarms()["MetricAlarms"][0]
    assert alarm["Threshold"] == 20
    applied.plan_and_apply()


def test_the_bucket_locks_every_upload_in_compliance_mode(s3: Any) -> None:
    lock = s3.get_object_lock_configuration(Bucket=BUCKET)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("COMPLIANCE", ANSWERS["object_lock_days"])


def test_the_bucket_is_versioned_encrypted_closed_and_in_its_region(s3: Any) -> None:
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == ANSWERS["aws_region"]
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    encryption = s3.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]
    assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    public = s3.get_public_access_block(Bucket=BUCKET)["PublicAccessBlockConfiguration"]
    assert len(public) == 4 and all(public.values())
    owner = s3.get_bucket_ownership_controls(Bucket=BUCKET)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_no_lifecycle_rule_ends_a_backup_before_its_lock_or_hides_data_by_its_age(s3: Any) -> None:
    """A mail of years ago is in yesterday's snapshot: a rule by age would hide it."""
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    expiring = [rule for rule in rules if "Days" in rule.get("Expiration", {})]
    listed = {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in expiring}
    ages = [each["NoncurrentDays"] for rule in rules if (each := rule.get("NoncurrentVersionExpiration"))]
    assert set(listed) == {"mailserver/daily/", "mailserver/weekly/"}
    assert len(ages) == 1 and min(*ages, *listed.values()) >= ANSWERS["object_lock_days"]


def test_the_uploader_is_a_user_of_its_own_with_one_policy_and_no_key_yet(iam: Any) -> None:
    user = f"{NAME}-uploader"
    attached = iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == [user]
    assert iam.list_user_policies(UserName=user)["PolicyNames"] == []
    assert iam.list_groups_for_user(UserName=user)["Groups"] == []
    assert iam.list_access_keys(UserName=user)["AccessKeyMetadata"] == []


def test_the_restore_role_asks_for_mfa_and_lasts_an_hour(iam: Any) -> None:
    role = iam.get_role(RoleName=f"{NAME}-restore")["Role"]
    trust = role["AssumeRolePolicyDocument"]["Statement"]
    assert [each["Condition"] for each in trust] == [{"Bool": {"aws:MultiFactorAuthPresent": "true"}}]
    assert role["MaxSessionDuration"] == 3600
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(f"{NAME}-boundary")


def test_the_cost_alarm_is_where_billing_metrics_are_and_writes_to_a_person(
    applied: Workspace, cloud: Cloud
) -> None:
    alarm = cloud.client("cloudwatch", "us-east-1").describe_alarms()["MetricAlarms"][0]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Billing", "EstimatedCharges")
    assert alarm["Threshold"] == ANSWERS["monthly_budget_usd"]
    assert alarm["ActionsEnabled"] is True
    topic = applied.outputs()["alarm_topic_arn"]
    assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
    subscriptions = cloud.client("sns", "us-east-1").list_subscriptions_by_topic(TopicArn=topic)
    endpoints = [(each["Protocol"], each["Endpoint"]) for each in subscriptions["Subscriptions"]]
    assert endpoints == [("email", ANSWERS["admin_email"])]


def test_everything_that_can_carry_tags_carries_the_common_ones(applied: Workspace) -> None:
    state = applied.run("show", "-json").json()["values"]["root_module"]["resources"]
    tagged = {each["address"]: each["values"]["tags_all"] for each in state if "tags_all" in each["values"]}
    assert len(tagged) >= 9
    assert {address: found for address, found in tagged.items() if found != TAGS} == {}


def test_github_gets_short_lived_roles_and_no_key(applied: Workspace, iam: Any) -> None:
    providers = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    assert [each["Arn"].rsplit("/", 1)[1] for each in providers] == ["token.actions.githubusercontent.com"]
    users = [user["UserName"] for user in iam.list_users()["Users"]]
    assert users == [f"{NAME}-uploader"]


def test_outputs_say_what_later_parts_need(applied: Workspace) -> None:
    outputs = applied.outputs()
    account = "arn:aws:iam::123456789012:role/mailserver-backup"
    expected = {
        "backup_bucket": BUCKET,
        "backup_region": ANSWERS["aws_region"],
        "backup_prefix": "mailserver/",
        "object_lock_days": ANSWERS["object_lock_days"],
        "uploader_user": f"{NAME}-uploader",
        "restore_role_arn": f"{account}/{NAME}-restore",
        "plan_role_arn": f"{account}/{NAME}-plan",
        "apply_role_arn": f"{account}/{NAME}-apply",
    }
    assert {name: outputs[name] for name in expected} == expected


def test_the_state_bucket_is_versioned_encrypted_and_closed(applied: Workspace, s3: Any) -> None:
    bucket = ANSWERS["state_bucket"]
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    state = s3.head_object(Bucket=bucket, Key="mailserver/s3-backup/terraform.tfstate")
    assert state["ServerSideEncryption"] == "AES256"
    policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert [each["Sid"] for each in policy["Statement"]] == ["DenyPlainHttp", "DenyOldTls"]


def test_no_secret_passes_through_terraform(applied: Workspace) -> None:
    resources = applied.run("show", "-json").json()["values"]["root_module"]["resources"]
    assert "aws_iam_access_key" not in {each["type"] for each in resources}
    assert [each["address"] for each in resources if "true" in json.dumps(each["sensitive_values"])] == []
    outputs = applied.run("output", "-json").json()
    assert [name for name, output in outputs.items() if output["sensitive"]] == []
