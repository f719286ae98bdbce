"""The state: locked against a second run, kept apart by environment, never a way to adopt a wrong bucket."""

import json
import shutil
import time
from collections.abc import Callable
from typing import Any

import pytest
from conftest import PATH_STYLE, MakeWorkspace
from equipment.cloud import Cloud
from equipment.template import ANSWERS
from equipment.workspace import Workspace

BUCKET, STATE = ANSWERS["backup_bucket"], ANSWERS["state_bucket"]
KEY = "mailserver/s3-backup/terraform.tfstate"
LOCK = f"{KEY}.tflock"


@pytest.fixture(autouse=True)
def empty_account(cloud: Cloud, workspace: MakeWorkspace) -> None:
    """Each test starts with nothing but the state bucket and the lock table."""
    cloud.reset()
    cloud.client("s3").create_bucket(
        Bucket=STATE, CreateBucketConfiguration={"LocationConstraint": ANSWERS["aws_region"]}
    )
    cloud.client("dynamodb").create_table(
        TableName="terraform-state-lock",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
    )


def keys(cloud: Cloud) -> set[str]:
    found = cloud.client("s3").list_objects_v2(Bucket=STATE).get("Contents", [])
    return {each["Key"] for each in found}


def table(cloud: Cloud) -> set[str]:
    """What the lock table holds: a lock, and between runs the state's checksum."""
    items = cloud.client("dynamodb").scan(TableName="terraform-state-lock")["Items"]
    return {item["LockID"]["S"] for item in items}


def state_version(cloud: Cloud) -> str:
    return cloud.client("s3").head_object(Bucket=STATE, Key=KEY)["ETag"]


def second_run_is_refused(module: Workspace, is_locked: Callable[[], bool]) -> str:
    """Starts an apply that waits for a yes with the lock in its hand, and one more beside it."""
    first = module.start("apply")
    try:
        limit = time.monotonic() + 180
        while not is_locked():
            assert time.monotonic() < limit, "the first run took no lock"
        refused = module.run("apply", "-auto-approve", codes=(1,)).text
        output, errors = first.communicate("yes\n", timeout=900)
        assert first.returncode == 0, output + errors
    finally:
        first.kill()
    return refused


def test_of_two_runs_at_once_one_is_refused_by_the_lock_in_s3(cloud: Cloud, workspace: MakeWorkspace) -> None:
    module = workspace()
    module.init(PATH_STYLE)
    refused = second_run_is_refused(module, lambda: LOCK in keys(cloud))
    assert "Error acquiring the state lock" in refused
    assert "Lock Info" in refused
    assert keys(cloud) == {KEY}
    assert module.plan().code == 0


def test_older_terraform_locks_in_dynamodb(cloud: Cloud, workspace: MakeWorkspace) -> None:
    module = workspace()
    shutil.copy(module.folder / "dynamodb_override.tf.example", module.folder / "dynamodb_override.tf")
    module.init(PATH_STYLE)
    refused = second_run_is_refused(module, lambda: f"{STATE}/{KEY}" in table(cloud))
    assert "Error acquiring the state lock" in refused
    assert "ConditionalCheckFailedException" in refused
    assert keys(cloud) == {KEY}
    assert module.plan().code == 0


def test_a_lock_that_somebody_left_behind_is_named_with_its_owner(
    cloud: Cloud, workspace: MakeWorkspace
) -> None:
    module = workspace()
    module.init(PATH_STYLE)
    lock = {"ID": "4f8d", "Operation": "OperationTypeApply", "Who": "ci@runner", "Path": f"{STATE}/{KEY}"}
    cloud.client("s3").put_object(Bucket=STATE, Key=LOCK, Body=json.dumps(lock))
    refused = module.refused_plan()
    assert "Error acquiring the state lock" in refused and "ci@runner" in refused
    assert keys(cloud) == {LOCK}
    module.run("force-unlock", "-force", "4f8d")
    assert module.plan().code == 2


def test_the_state_of_another_environment_is_refused_and_nothing_changes(
    cloud: Cloud, workspace: MakeWorkspace
) -> None:
    module = workspace()
    module.init(PATH_STYLE)
    module.plan_and_apply()
    before = state_version(cloud)
    staging = ("-var=environment=staging", f"-var=backup_bucket={BUCKET}-staging")
    refused = module.refused_plan(*staging)
    assert "this state belongs to production, not to staging" in refused
    assert 'terraform init -reconfigure -backend-config="key=' in refused
    assert state_version(cloud) == before
    assert module.plan().code == 0


def test_each_environment_has_a_state_of_its_own_with_the_key_that_the_refusal_names(
    cloud: Cloud, workspace: MakeWorkspace
) -> None:
    module = workspace()
    module.init(PATH_STYLE)
    module.plan_and_apply()
    module.init(
        "-reconfigure", PATH_STYLE, "-backend-config=key=mailserver/s3-backup/staging/terraform.tfstate"
    )
    module.plan_and_apply("-var=environment=staging", f"-var=backup_bucket={BUCKET}-staging")
    buckets = {each["Name"] for each in cloud.client("s3").list_buckets()["Buckets"]}
    assert buckets == {STATE, BUCKET, f"{BUCKET}-staging"}
    users = {user["UserName"] for user in cloud.client("iam").list_users()["Users"]}
    assert users == {"mailserver-production-uploader", "mailserver-staging-uploader"}


def bucket_without_lock(cloud: Cloud) -> None:
    cloud.client("s3").create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": ANSWERS["aws_region"]}
    )


def everything_else(cloud: Cloud) -> dict[str, Any]:
    """All that the module makes beside the bucket, and what the bucket was given."""
    s3, sns = cloud.client("s3"), cloud.client("sns", "us-east-1")
    return {
        "users": cloud.client("iam").list_users()["Users"],
        "policies": cloud.client("iam").list_policies(Scope="Local")["Policies"],
        "topics": sns.list_topics()["Topics"],
        "alarms": cloud.client("cloudwatch", "us-east-1").describe_alarms()["MetricAlarms"],
        "versioning": s3.get_bucket_versioning(Bucket=BUCKET).get("Status"),
    }


NOTHING = {"users": [], "policies": [], "topics": [], "alarms": [], "versioning": None}


def test_a_bucket_that_is_already_there_is_not_taken_over_and_nothing_else_is_made(
    cloud: Cloud, workspace: MakeWorkspace
) -> None:
    bucket_without_lock(cloud)
    module = workspace()
    module.init(PATH_STYLE)
    module.plan()
    refused = module.run("apply", "tfplan", codes=(1,)).text
    assert "BucketAlreadyOwnedByYou" in refused
    assert everything_else(cloud) == NOTHING


def test_a_bucket_without_object_lock_that_was_imported_is_refused_and_nothing_changes(
    cloud: Cloud, workspace: MakeWorkspace
) -> None:
    bucket_without_lock(cloud)
    module = workspace()
    module.init(PATH_STYLE)
    module.run("import", "-input=false", "aws_s3_bucket.backup", BUCKET, codes=(0, 1))
    refused = module.refused_plan()
    assert f"backup_bucket: {BUCKET} exists without Object Lock" in refused
    assert "choose a new backup_bucket" in refused
    assert everything_else(cloud) == NOTHING


def test_a_locked_bucket_can_be_imported_and_is_completed(cloud: Cloud, workspace: MakeWorkspace) -> None:
    cloud.client("s3").create_bucket(
        Bucket=BUCKET,
        ObjectLockEnabledForBucket=True,
        CreateBucketConfiguration={"LocationConstraint": ANSWERS["aws_region"]},
    )
    module = workspace()
    module.init(PATH_STYLE)
    module.run("import", "-input=false", "aws_s3_bucket.backup", BUCKET)
    module.plan_and_apply()
    assert module.plan().code == 0
