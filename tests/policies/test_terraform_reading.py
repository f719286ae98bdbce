"""Terraform files are read as Terraform reads them, values and lines alike."""

from __future__ import annotations

import pytest
from terraform_files import BUCKET, block

from policies.readers import Repository
from policies.terraform.values import Partial, Unknown

# ---- which files


@pytest.mark.parametrize(
    "name", ["main.tf.json", "main.tofu", "terraform.tfvars", "prod.auto.tfvars.json", "x.tfbackend"]
)
def test_what_nobody_would_review_here_is_refused(tmp_path, name):
    (tmp_path / name).write_text("{}")
    repository = Repository(tmp_path)
    assert repository.modules == []
    assert [(each.kind, each.place.file) for each in repository.problems] == [("not-looked-at", name)]


OVER = {
    "an argument": ('  bucket = "two"\n', "two"),
    "nothing": ("", "one"),
}


@pytest.mark.parametrize("name", ["override.tf", "z_override.tf"])
@pytest.mark.parametrize(("text", "bucket"), OVER.values(), ids=list(OVER))
def test_an_override_replaces_arguments(modules, name, text, bucket):
    found = modules({"main.tf": BUCKET, name: f'resource "aws_s3_bucket" "a" {{\n{text}}}\n'})
    assert block(found[-1], "aws_s3_bucket.a").value("bucket") == bucket


def test_inner_blocks_of_an_override_replace_all_of_their_type_but_lifecycle(modules):
    text = 'resource "aws_s3_bucket" "a" {{\n{}\n}}\n'
    one = "  rule {\n    id = 1\n  }\n  dynamic rule {\n    for_each = [2]\n    content {}\n  }\n"
    life = "  lifecycle {\n    prevent_destroy = true\n  }"
    over = "  rule {\n    id = 3\n  }\n  lifecycle {\n    ignore_changes = all\n  }"
    (module,) = modules({"main.tf": text.format(one + life), "override.tf": text.format(over)})
    bucket = block(module, "aws_s3_bucket.a")
    assert [each.value("id") for each in bucket.inner("rule")] == [3]
    assert [each.value("prevent_destroy") for each in bucket.inner("lifecycle")] == [True]


def test_an_override_of_a_backend_wins_over_one_in_any_file(modules):
    main = 'terraform {\n  required_version = "~> 1.9"\n}\n'
    back = 'terraform {\n  backend "s3" {}\n}\n'
    (module,) = modules({"a.tf": main, "b.tf": back, "override.tf": 'terraform {\n  backend "local" {}\n}\n'})
    assert [each.labels for each in module.backends()] == [("local",)]


def test_an_override_meets_the_provider_with_the_same_alias(modules):
    main = 'provider "aws" {\n  region = "a"\n}\nprovider "aws" {\n  alias  = "b"\n  region = "b"\n}\n'
    over = 'provider "aws" {\n  alias  = "b"\n  region = "c"\n}\n'
    (module,) = modules({"main.tf": main, "override.tf": over})
    assert [each.value("region") for each in module.all("provider")] == ["a", "c"]


def test_a_local_that_is_overridden_counts(modules):
    main = "locals {\n  a = 1\n}\nlocals {\n  b = 2\n}\n"
    (module,) = modules({"main.tf": main, "override.tf": "locals {\n  b = 3\n}\n"})
    assert module.evaluator.named("local.b") == 3


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
