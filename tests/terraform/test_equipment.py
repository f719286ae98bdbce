"""What the other tests believe of the equipment: its core is real, and what it lacks is refused."""

import json
import re
from typing import Any

import pytest
from conftest import MakeWorkspace
from equipment import schema
from equipment.aws import DATA_SOURCES, RESOURCES
from equipment.cloud import Cloud
from equipment.installation import PROVIDER_VERSION
from equipment.template import TEMPLATE
from equipment.workspace import Workspace

BUCKET = 'resource "aws_s3_bucket" "a" {\n  bucket = "scratch"\n}\n'
#: What the stand-in would ignore, or a value that AWS does not have, and what is said of it.
REFUSED = {
    "no call takes acceleration_status": BUCKET.replace(
        '"scratch"', '"a"\n  acceleration_status = "Enabled"'
    ),
    "AWS knows no 'On'": (
        f'{BUCKET}resource "aws_s3_bucket_versioning" "a" {{\n  bucket = aws_s3_bucket.a.id\n'
        '  versioning_configuration {\n    status = "On"\n  }\n}\n'
    ),
}


@pytest.fixture
def scratch(cloud: Cloud, workspace: MakeWorkspace) -> Workspace:
    cloud.reset()
    module = workspace("state-bootstrap")
    for file in module.folder.glob("*.tf"):
        file.unlink()
    return module


@pytest.mark.parametrize("complaint", REFUSED)
def test_what_the_stand_in_would_ignore_is_refused(complaint: str, scratch: Workspace) -> None:
    (scratch.folder / "main.tf").write_text(REFUSED[complaint])
    scratch.init()
    assert complaint in scratch.run("apply", "-auto-approve", codes=(1,)).text


def test_an_argument_that_the_provider_does_not_have_is_refused(scratch: Workspace) -> None:
    (scratch.folder / "main.tf").write_text(BUCKET.replace("bucket =", "bucket_name ="))
    scratch.init()
    assert "is not expected here" in scratch.run("validate", codes=(1,)).text


def test_the_command_is_terraform_s_real_core(scratch: Workspace) -> None:
    assert scratch.run("version").stdout.startswith("Terraform v1.15.")


def test_what_the_modules_use_is_what_the_equipment_carries_out() -> None:
    text = "".join(file.read_text() for file in TEMPLATE.rglob("*.tf"))
    assert set(re.findall(r'^resource "(aws_\w+)"', text, re.MULTILINE)) == set(RESOURCES)
    assert set(re.findall(r'^data "(aws_\w+)"', text, re.MULTILINE)) == set(DATA_SOURCES)


@pytest.fixture(scope="module")
def recovered() -> dict[str, Any]:
    document = json.loads(schema.schema_file(RESOURCES, DATA_SOURCES).read_text())
    return {"version": document["provider_version"], **document["provider_schemas"][schema.PROVIDER]}


def test_the_version_is_the_one_that_the_mirror_offers(recovered: dict[str, Any]) -> None:
    assert recovered["version"] == PROVIDER_VERSION


def test_known_facts_about_the_provider_hold(recovered: dict[str, Any]) -> None:
    lock = recovered["resource_schemas"]["aws_s3_bucket_object_lock_configuration"]["block"]
    retention = lock["block_types"]["rule"]["block"]["block_types"]["default_retention"]
    assert (retention["min_items"], retention["max_items"]) == (1, 1)
    assert set(retention["block"]["attributes"]) == {"days", "mode", "years"}
    alarm = recovered["resource_schemas"]["aws_cloudwatch_metric_alarm"]["block"]["attributes"]
    assert alarm["alarm_actions"]["type"] == ["set", "string"]
    assert alarm["comparison_operator"] == {"type": "string", "required": True}
    arn = recovered["resource_schemas"]["aws_iam_user"]["block"]["attributes"]["arn"]
    assert arn == {"type": "string", "computed": True}
    assert "alias" not in recovered["provider"]["block"]["attributes"]
    tags = recovered["provider"]["block"]["block_types"]["default_tags"]["block"]["attributes"]["tags"]
    assert tags["type"] == ["map", "string"]


def test_arguments_that_force_a_replacement_or_have_a_default_exist(recovered: dict[str, Any]) -> None:
    for name, kind in RESOURCES.items():
        attributes = set(recovered["resource_schemas"][name]["block"]["attributes"])
        assert {*kind.replaces, *kind.defaults, *kind.json} <= attributes, name
