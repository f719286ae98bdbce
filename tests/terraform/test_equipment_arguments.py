"""The stand-in provider refuses what it does not carry out, and knows the values that AWS knows."""

import boto3
import pytest
from conftest import MakeWorkspace
from equipment.arguments import Argument
from equipment.aws import RESOURCES
from equipment.workspace import Workspace

ENUMS = {
    f"{name}.{path}": argument
    for name, kind in RESOURCES.items()
    for path, argument in kind.arguments.items()
    if argument.shape
}
ROLE = 'assume_role_policy = "{}"'
SUBSCRIPTION = 'topic_arn = "a"\n  endpoint = "a"\n  protocol = '
#: An argument that the stand-in would ignore, or a value that AWS does not have, and what is said of it.
REFUSED = {
    "managed_policy_arns: the stand-in": ("aws_iam_role", f'{ROLE}\n  managed_policy_arns = ["a"]'),
    "inline_policy.name: the stand-in": ("aws_iam_role", f'{ROLE}\n  inline_policy {{\n    name = "a"\n  }}'),
    "kms_master_key_id: the stand-in": ("aws_sns_topic", 'name = "a"\n  kms_master_key_id = "a"'),
    "filter_policy: the stand-in": (
        "aws_sns_topic_subscription",
        f'{SUBSCRIPTION}"email"\n  filter_policy = "{{}}"',
    ),
    "AWS knows no 'pigeon'": ("aws_sns_topic_subscription", f'{SUBSCRIPTION}"pigeon"'),
    "versioning_configuration.status: AWS knows no 'On'": (
        "aws_s3_bucket_versioning",
        'bucket = "a"\n  versioning_configuration {\n    status = "On"\n  }',
    ),
    "rule.object_ownership: AWS knows no 'Mine'": (
        "aws_s3_bucket_ownership_controls",
        'bucket = "a"\n  rule {\n    object_ownership = "Mine"\n  }',
    ),
}


@pytest.fixture
def scratch(workspace: MakeWorkspace) -> Workspace:
    module = workspace("state-bootstrap")
    for file in module.folder.glob("*.tf"):
        file.unlink()
    return module


@pytest.mark.parametrize("complaint", REFUSED)
def test_what_the_stand_in_would_ignore_is_refused(complaint: str, scratch: Workspace) -> None:
    kind, body = REFUSED[complaint]
    (scratch.folder / "main.tf").write_text(f'resource "{kind}" "a" {{\n  {body}\n}}\n')
    scratch.init()
    assert complaint in scratch.run("validate", codes=(1,)).text


@pytest.mark.parametrize("name", ENUMS)
def test_the_values_of_an_argument_are_those_that_aws_has(name: str) -> None:
    argument: Argument = ENUMS[name]
    model = boto3.client(argument.service, "eu-west-1").meta.service_model
    assert set(argument.values or ()) == set(model.shape_for(argument.shape).enum)
