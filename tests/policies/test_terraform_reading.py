"""Terraform files are read as Terraform reads them, values and lines alike."""

from __future__ import annotations

import pytest
from terraform_files import BUCKET

from policies.readers import Repository
from policies.terraform.values import Partial, Unknown

# ---- which files


@pytest.mark.parametrize(
    "name",
    [
        "main.tf.json",
        "main.tofu",
        "terraform.tfvars",
        "prod.auto.tfvars.json",
        "x.tfbackend",
        "b_override.tf",
    ],
)
def test_what_nobody_would_review_here_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    repository = Repository(tmp_path)
    assert repository.modules == []
    assert [(each.kind, each.place.file) for each in repository.problems] == [("not-looked-at", name)]


# ---- count, for_each, dynamic

MADE = {
    "once": ("", 1, True),
    "count": ("count = 2", 2, True),
    "none": ("count = 0", 1, False),
    "nobody knows": ("count = var.x", 1, False),
    "a map": ('for_each = { a = "x", b = "y" }', 2, True),
    "a set": ('for_each = toset(["x"])', 1, True),
    "nothing": ("for_each = {}", 1, False),
    "by a condition": ("count = true ? 1 : 0", 1, True),
}


@pytest.mark.parametrize(("line", "times", "sure"), MADE.values(), ids=list(MADE))
def test_a_resource_is_as_many_as_it_is_made(modules, line, times, sure):
    (module,) = modules({"main.tf": BUCKET.replace("  bucket", f"  {line}\n  bucket")})
    assert [each.sure for each in module.resources("aws_s3_bucket")] == [sure] * times


def test_each_instance_has_its_own_values(modules):
    text = BUCKET.replace(
        'bucket = "one"', 'for_each = { a = "x", b = "y" }\n  bucket = "${each.key}-${each.value}"'
    )
    (module,) = modules({"main.tf": text})
    assert [each.value("bucket") for each in module.resources("aws_s3_bucket")] == ["a-x", "b-y"]


# ---- values

EXPRESSIONS = {
    'format("a-%s", aws_x.y.id)': Partial("a-${aws_x.y.id}"),
    'join("/", ["a", aws_x.y.id])': Partial("a/${aws_x.y.id}"),
    'replace("abc", "/b+/", "*")': "a*c",
    'formatlist("%s-%s", "a", ["x", "y"])': ["a-x", "a-y"],
    "coalesce(null, aws_x.y.id)": Unknown("coalesce(null, aws_x.y.id)"),
}


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS.items())
def test_functions_are_evaluated(modules, expression, value):
    (module,) = modules({"main.tf": f"locals {{\n  x = {expression}\n}}\n"})
    assert module.evaluator.named("local.x") == value
