"""The provider's schema is read rightly out of its bindings."""

import json
from typing import Any

import pytest
from equipment import schema
from equipment.aws import DATA_SOURCES, RESOURCES
from equipment.installation import PROVIDER_VERSION


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
