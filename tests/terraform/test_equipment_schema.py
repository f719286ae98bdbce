"""The provider's schema is read rightly out of its bindings, and only once."""

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from equipment import schema
from equipment.aws import DATA_SOURCES, RESOURCES
from equipment.bindings import Argument, Bindings, SchemaError, object_type
from equipment.installation import PROVIDER_VERSION
from equipment.template import TEMPLATE

THING = """
export interface ThingConfig extends cdktf.TerraformMetaArguments {
}
export interface ThingRule {
  readonly maxDays?: number;
}
export function thingRuleToHclTerraform(struct?: ThingRule): any {
  const attrs = {
    max_days: {
      value: cdktf.numberToHclTerraform(struct!.maxDays),
      isBlock: false,
      type: "simple",
      storageClassType: "number",
    },
  };
}
export class ThingRuleOutputReference extends cdktf.ComplexObject {
  // max_days - computed: true, optional: true, required: false
  private _maxDays?: number; 
  public get maxDays() {
    return this.getNumberAttribute('max_days');
  }
}
export class Thing extends cdktf.TerraformResource {
  public static readonly tfResourceType = "aws_thing";
        providerVersion: '6.25.0',
  // arn - computed: true, optional: false, required: false
  public get arn() {
    return this.getStringAttribute('arn');
  }
  // name - computed: false, optional: false, required: true
  private _name?: string; 
  public get name() {
    return this.getStringAttribute('name');
  }
  // names - computed: false, optional: true, required: false
  private _names?: string[]; 
  public get names() {
    return cdktf.Fn.tolist(this.getListAttribute('names'));
  }
  // rule - computed: false, optional: false, required: true
  private _rule = new ThingRuleOutputReference(this, "rule");
  public get rule() {
    return this._rule;
  }
  protected synthesizeHclAttributes(): { [name: string]: any } {
    const attrs = {
      name: {
        value: cdktf.stringToHclTerraform(this._name),
        isBlock: false,
        type: "simple",
        storageClassType: "string",
      },
      names: {
        value: cdktf.listMapperHcl(cdktf.stringToHclTerraform, false)(this._names),
        isBlock: false,
        type: "set",
        storageClassType: "stringList",
      },
      rule: {
        value: thingRuleToHclTerraform(this._rule.internalValue),
        isBlock: true,
        type: "list",
        storageClassType: "ThingRuleList",
      },
    };
  }
}
"""


@pytest.fixture(scope="module")
def recovered() -> dict[str, Any]:
    document = json.loads(schema.schema_file(RESOURCES, DATA_SOURCES).read_text())
    return {"version": document["provider_version"], **document["provider_schemas"][schema.PROVIDER]}


def test_attributes_carry_type_and_use() -> None:
    body = Bindings(THING).schema()
    assert body["attributes"] == {
        "arn": {"type": "string", "computed": True},
        "name": {"type": "string", "required": True},
        "names": {"type": ["set", "string"], "optional": True},
    }


def test_a_required_single_block_has_exactly_one_item() -> None:
    rule = Bindings(THING).schema()["block_types"]["rule"]
    assert (rule["nesting_mode"], rule["min_items"], rule["max_items"]) == ("list", 1, 1)
    assert rule["block"]["attributes"] == {"max_days": {"type": "number", "computed": True, "optional": True}}


def test_a_body_can_be_written_as_an_object_type() -> None:
    members = object_type(Bindings(THING).schema())[1]
    assert members["rule"] == ["list", ["object", {"max_days": "number"}]]


@pytest.mark.parametrize(
    ("kind", "storage", "expected"),
    [
        ("simple", "boolean", "bool"),
        ("list", "stringList", ["list", "string"]),
        ("set", "numberList", ["set", "number"]),
        ("map", "stringMap", ["map", "string"]),
        ("set", "stringMapList", ["set", ["map", "string"]]),
        ("list", "ThingRuleList", None),
    ],
)
def test_storage_classes_become_terraform_types(kind: str, storage: str, expected: Any) -> None:
    assert Argument(block=False, kind=kind, storage=storage).plain_type == expected


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("extends cdktf.TerraformResource", "extends cdktf.Something", "found 0"),
        ('tfResourceType = "aws_thing"', "", "state no tfResourceType"),
        ("this.getStringAttribute('arn')", "this.getOddAttribute('arn')", "cannot tell the type of arn"),
    ],
)
def test_bindings_that_are_not_understood_are_refused(before: str, after: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        bindings = Bindings(THING.replace(before, after))
        _ = bindings.terraform_type, bindings.schema()


def test_the_version_is_the_one_that_the_mirror_offers(recovered: dict[str, Any]) -> None:
    assert recovered["version"] == PROVIDER_VERSION


def test_what_the_modules_use_is_what_the_equipment_carries_out() -> None:
    text = "".join(file.read_text() for file in TEMPLATE.rglob("*.tf"))
    assert set(re.findall(r'^resource "(aws_\w+)"', text, re.MULTILINE)) == set(RESOURCES)
    assert set(re.findall(r'^data "(aws_\w+)"', text, re.MULTILINE)) == set(DATA_SOURCES)


def test_the_schema_holds_these_types_and_no_others(recovered: dict[str, Any]) -> None:
    assert set(recovered["resource_schemas"]) == set(RESOURCES)
    assert set(recovered["data_source_schemas"]) == set(DATA_SOURCES)


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


def test_arguments_that_force_a_replacement_or_are_sensitive_exist(recovered: dict[str, Any]) -> None:
    for name, resource in RESOURCES.items():
        attributes = set(recovered["resource_schemas"][name]["block"]["attributes"])
        named = {*resource.replaces, *resource.sensitive, *resource.defaults, *resource.json_arguments}
        assert named <= attributes, name


def test_a_second_look_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    first = schema.schema_file(RESOURCES, DATA_SOURCES)
    monkeypatch.setattr(schema, "_download", lambda folder: pytest.fail("downloaded again"))
    assert schema.schema_file(RESOURCES, DATA_SOURCES) == first


def test_a_package_that_cannot_be_had_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SchemaError, match="bindings could not be downloaded"):
        schema.schema_file(RESOURCES, DATA_SOURCES)
    assert list(tmp_path.rglob("*.json")) == []


def test_a_package_of_another_shape_is_refused(tmp_path: Path) -> None:
    wheel = tmp_path / "other.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("other/__init__.py", "")
    with pytest.raises(SchemaError, match="holds no jsii archive"):
        schema.recover(wheel, ["s3-bucket"])
