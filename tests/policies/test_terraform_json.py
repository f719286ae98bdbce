"""Terraform in JSON says the same as in HCL, and what is neither is unreadable."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from terraform_files import block

from policies.shared.located import Unreadable
from policies.terraform import hcl, hcl_json


def test_json_and_hcl_say_the_same(modules):
    text = {
        "//": "a comment",
        "variable": {"name": {"default": "one", "//": "more"}},
        "resource": {
            "aws_s3_bucket": {
                "a": {
                    "bucket": "x-${var.name}",
                    "tags": {"//": "kept"},
                    "depends_on": ["aws_s3_bucket.b"],
                    "lifecycle": {"prevent_destroy": True, "ignore_changes": ["tags"]},
                    "rule": [{"id": "first"}, {"id": "second"}],
                    "dynamic": {
                        "grant": [{"for_each": ["r", "w"], "content": {"permission": "${grant.value}"}}]
                    },
                }
            }
        },
    }
    (module,) = modules({"main.tf.json": json.dumps(text, indent=2)})
    bucket = block(module, "aws_s3_bucket.a")
    assert bucket.value("bucket") == "x-one"
    assert bucket.value("tags") == {"//": "kept"}
    assert bucket.references("depends_on") == {"aws_s3_bucket.b"}
    assert [each.value("id") for each in bucket.inner("rule")] == ["first", "second"]
    assert [each.value("permission") for each in bucket.inner("grant")] == ["r", "w"]
    assert [each.value("prevent_destroy") for each in bucket.inner("lifecycle")] == [True]
    assert str(next(bucket.inner("lifecycle")).value("ignore_changes")[0]) == "${tags}"


def test_json_keeps_its_lines(modules):
    text = json.dumps({"resource": {"aws_s3_bucket": {"a": {"bucket": "one"}}}}, indent=2)
    (module,) = modules({"main.tf.json": text})
    bucket = block(module, "aws_s3_bucket.a")
    assert (str(bucket.where()), str(bucket.where("bucket"))) == ("main.tf.json:4", "main.tf.json:5")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("{", 1),
        ("[1]", 1),
        ('{"a": {}} {}', 1),
        ('{\n  "a": 1\n  "b": 2}', 3),
        ('{\n"resource": 1}', 2),
        ('{"locals": {"a": 1,\n"a": 2}}', 2),
        ('{"locals": {"a": "${x"}}', 1),
        ('{"locals": {"a": }}', 1),
        ("{'a': 1}", 1),
        ('{"a": ' * 300, 1),
    ],
)
def test_what_is_no_terraform_in_json_is_unreadable(text, line):
    with pytest.raises(Unreadable) as error:
        hcl_json.parse(text, "main.tf.json")
    assert error.value.place.line == line


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["${var.a}", "${", "%{if}"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "resource", "dynamic", "//"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_any_json_is_read_or_unreadable(value):
    with suppress(Unreadable):
        hcl_json.parse(json.dumps({"resource": value, "locals": value}), "main.tf.json")


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='{}[]"=\n $#<ab.', max_size=40))
def test_any_text_is_read_or_unreadable(text):
    with suppress(Unreadable):
        hcl.parse(text, "main.tf")
