"""The rights of the GitHub roles are exactly those that the real provider's calls need."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from equipment.cloud import Cloud
from equipment.policies import Decision, Document, Request, decide
from equipment.template import ANSWERS, TEMPLATE
from equipment.workspace import Workspace

TABLE: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("provider-calls.yml").read_text())
NAME = "mailserver-production"
IAM = "arn:aws:iam::123456789012"
TOPIC = f"arn:aws:sns:us-east-1:123456789012:{NAME}-cost"
ARNS = {
    "alarm": f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{NAME}-cost",
    "apply": f"{IAM}:role/mailserver-backup/{NAME}-apply",
    "boundary": f"{IAM}:policy/mailserver-backup/{NAME}-boundary",
    "bucket": f"arn:aws:s3:::{ANSWERS['backup_bucket']}",
    "oidc": f"{IAM}:oidc-provider/token.actions.githubusercontent.com",
    "plan": f"{IAM}:role/mailserver-backup/{NAME}-plan",
    "policy": f"{IAM}:policy/mailserver-backup/{NAME}-uploader",
    "restore": f"{IAM}:role/mailserver-backup/{NAME}-restore",
    "subscription": f"{TOPIC}:1-2-3",
    "topic": TOPIC,
    "user": f"{IAM}:user/mailserver-backup/{NAME}-uploader",
}
#: What the backend needs beside the provider: reading the state; writing and locking it.
STATE_READS = {"s3:GetObject", "s3:ListBucket"}
STATE_WRITES = {"s3:GetObject", "s3:PutObject", "s3:DeleteObject"}
#: Within the boundary, as every policy that is made for these identities.
CONTEXT = {"iam:PermissionsBoundary": ARNS["boundary"]}


@pytest.fixture(scope="module")
def roles(applied: Workspace, cloud: Cloud) -> dict[str, Document]:
    iam = cloud.client("iam")
    names = {"plan": "read", "apply": "apply"}
    return {
        role: iam.get_role_policy(RoleName=f"{NAME}-{role}", PolicyName=policy)["PolicyDocument"]
        for role, policy in names.items()
    }


def calls(kind: str, by: str | None = None) -> Iterator[Request]:
    """The calls of a kind (reads, changes), of resources that are changed by somebody."""
    for row in TABLE.values():
        if by in (None, row["by"]):
            yield from (Request(action, ARNS[thing], CONTEXT) for action in row[kind] for thing in row["of"])


def allowed(role: Document) -> set[str]:
    """Every action that a role's Allow statements name."""
    return {
        action
        for statement in role["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }


def missing(role: Document, wanted: Iterator[Request]) -> list[Request]:
    return [call for call in wanted if decide(call, [role]) is not Decision.ALLOWED]


def test_the_table_has_every_resource_of_the_module() -> None:
    text = "".join(file.read_text() for file in (TEMPLATE / "s3-backup").glob("*.tf"))
    made = set(re.findall(r'^resource "(aws_\w+)"', text, re.MULTILINE))
    assert {name.partition(".")[0] for name in TABLE} == made


def test_the_plan_role_may_read_what_the_provider_reads_and_has_no_right_besides(
    roles: dict[str, Document],
) -> None:
    assert missing(roles["plan"], calls("reads")) == []
    assert allowed(roles["plan"]) == {call.action for call in calls("reads")} | STATE_READS


def test_the_apply_role_may_change_what_the_pipeline_changes_and_has_no_right_besides(
    roles: dict[str, Document],
) -> None:
    assert missing(roles["apply"], calls("reads")) == []
    assert missing(roles["apply"], calls("changes", "pipeline")) == []
    needed = {call.action for kind in (calls("reads"), calls("changes", "pipeline")) for call in kind}
    assert allowed(roles["apply"]) == needed | STATE_READS | STATE_WRITES


def test_what_an_administrator_changes_the_apply_role_is_denied(roles: dict[str, Document]) -> None:
    open_to_it = [
        call
        for call in calls("changes", "administrator")
        if decide(call, [roles["apply"]]) is not Decision.DENIED
    ]
    assert open_to_it == []
