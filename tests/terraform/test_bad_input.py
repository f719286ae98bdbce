"""Wrong variables are refused at plan, with the field, the value and what to use instead."""

from collections.abc import Mapping

import pytest
from conftest import PATH_STYLE, MakeWorkspace
from equipment.cloud import Cloud
from equipment.workspace import Workspace

# what is wrong: the variables, and words that the refusal must hold
CASES: Mapping[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "no days": ({"object_lock_days": "0"}, ("object_lock_days: 0", "whole number from 1 to 36500")),
    "days as a word": ({"object_lock_days": "thirty"}, ("object_lock_days", "a number is required")),
    "an unknown region": (
        {"aws_region": "ap-middle-1"},
        ('aws_region: "ap-middle-1"', "use one such as ap-northeast-1"),
    ),
    "an invalid bucket name": (
        {"backup_bucket": "Mail_Backup"},
        ('backup_bucket: "Mail_Backup"', "lower-case letters", '"example-com-mail-backup"'),
    ),
    "a negative budget": ({"monthly_budget_usd": "-1"}, ("monthly_budget_usd: -1", "above 0")),
    "a missing e-mail": ({"admin_email": ""}, ('admin_email: ""', '"admin@example.com"')),
    "an e-mail that is null": ({"admin_email": "null"}, ("admin_email", "admin@example.com")),
    "two environments with one bucket": (
        {"environment": "staging"},
        ("backup_bucket", "does not belong to environment staging", '"example-com-mail-backup-staging"'),
    ),
    "an unknown environment": (
        {"environment": "live"},
        ('environment: "live"', "production, staging or development"),
    ),
    "expiry before the lock ends": (
        {"expire_after_days": "7"},
        ("expire_after_days", "above object_lock_days (30)", "for example 60"),
    ),
    "a repository with a wildcard": (
        {"github_repository": "example/*"},
        ("github_repository", "owner/name without wildcards"),
    ),
}


@pytest.fixture(scope="module")
def module(state_bucket: str, workspace: MakeWorkspace) -> Workspace:
    module = workspace()
    module.init(PATH_STYLE)
    return module


@pytest.mark.parametrize("case", CASES)
def test_a_plan_is_refused_for(case: str, module: Workspace, cloud: Cloud) -> None:
    variables, words = CASES[case]
    refusal = module.refused_plan(*(f"-var={name}={value}" for name, value in variables.items()))
    assert [word for word in words if word not in refusal] == []


def test_after_every_refusal_the_account_is_as_it_was(module: Workspace, cloud: Cloud) -> None:
    assert cloud.client("iam").list_users()["Users"] == []
    assert len(cloud.client("s3").list_buckets()["Buckets"]) == 1


def test_a_misspelt_argument_is_refused_with_its_line(module: Workspace) -> None:
    file = module.folder / "main.tf"
    original = file.read_text()
    file.write_text(original.replace("force_destroy       = false", "force_destory       = false"))
    refusal = module.run("validate", codes=(1,)).text
    file.write_text(original)
    assert 'An argument named "force_destory" is not expected here' in refusal
    assert "on main.tf line" in refusal
