"""Terraform files are read as Terraform and OpenTofu read them, values and lines alike."""

from __future__ import annotations

import pytest
from terraform_files import BUCKET, block

from policies.terraform.blocks import Partial, Unknown

# ---- which files


def test_opentofu_reads_its_own_file_instead_of_its_namesake(modules):
    readings = modules({"main.tf": BUCKET, "main.tofu": BUCKET.replace("one", "two")})
    assert [[each.value("bucket") for each in module.resources("aws_s3_bucket")] for module in readings] == [
        ["one"],
        ["two"],
    ]


def test_a_folder_for_opentofu_alone_is_a_module(modules):
    (module,) = modules({"main.tofu": BUCKET})
    assert block(module, "aws_s3_bucket.a").value("bucket") == "one"


OVER = {
    "an argument": ('  bucket = "two"\n', "two"),
    "nothing": ("", "one"),
}


@pytest.mark.parametrize("name", ["override.tf", "z_override.tf", "override.tofu"])
@pytest.mark.parametrize(("text", "bucket"), OVER.values(), ids=list(OVER))
def test_an_override_replaces_arguments(modules, name, text, bucket):
    found = modules({"main.tf": BUCKET, name: f'resource "aws_s3_bucket" "a" {{\n{text}}}\n'})
    assert block(found[-1], "aws_s3_bucket.a").value("bucket") == bucket


def test_an_override_in_json_names_its_own_line(modules):
    over = '{"resource": {"aws_s3_bucket": {"a": {\n"bucket": "two"}}}}'
    (module,) = modules({"main.tf": BUCKET, "override.tf.json": over})
    assert str(block(module, "aws_s3_bucket.a").where("bucket")) == "override.tf.json:2"


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
    assert [each.labels for each in module.own_backends()] == [("local",)]


def test_an_override_meets_the_provider_with_the_same_alias(modules):
    main = 'provider "aws" {\n  region = "a"\n}\nprovider "aws" {\n  alias  = "b"\n  region = "b"\n}\n'
    over = 'provider "aws" {\n  alias  = "b"\n  region = "c"\n}\n'
    (module,) = modules({"main.tf": main, "override.tf": over})
    assert [each.value("region") for each in module.all("provider")] == ["a", "c"]


def test_a_local_that_is_overridden_counts(modules):
    main = "locals {\n  a = 1\n}\nlocals {\n  b = 2\n}\n"
    (module,) = modules({"main.tf": main, "override.tf": "locals {\n  b = 3\n}\n"})
    assert module.evaluator.named("local.b") == 3


# ---- which values

DAYS = 'variable "days" {\n  default = 1\n}\n'


def days(found) -> list[object]:
    return [module.evaluator.named("var.days") for module in found]


def test_values_that_are_loaded_unasked_count_in_order(modules):
    files = {
        "main.tf": DAYS,
        "terraform.tfvars": "days = 2\n",
        "terraform.tfvars.json": '{"days": 3}',
        "a.auto.tfvars": "days = 4\n",
        "b.auto.tfvars.json": '{"days": 5}',
    }
    assert days(modules(files)) == [5]


def test_values_that_somebody_may_give_are_a_reading_of_their_own(modules):
    files = {
        "m/main.tf": DAYS,
        "m/test.tfvars": "days = 2\n",
        "m/env/x.tfvars.json": '{"days": 3}',
        "x.tfvars": "days = 4\n",
    }
    assert sorted(days(modules(files))) == [1, 2, 3, 4]


def test_null_for_a_variable_that_takes_none_means_its_default(modules):
    files = {"main.tf": DAYS.replace("}", "  nullable = false\n}"), "terraform.tfvars": "days = null\n"}
    assert days(modules(files)) == [1]


def test_texts_in_values_are_no_templates_in_json(modules):
    assert days(modules({"main.tf": DAYS, "terraform.tfvars.json": '{"days": "${x}"}'})) == ["${x}"]


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


# ---- called modules

CALL = 'module "m" {\n  source = "./m"\n  name   = aws_s3_bucket.a.id\n}\n'
CHILD = """
variable "name" {}

resource "aws_s3_bucket_versioning" "v" {
  bucket = var.name
}

output "status" {
  value = aws_s3_bucket_versioning.v.id
}
"""


def test_a_called_module_stands_in_its_caller(modules):
    (module,) = modules({"main.tf": BUCKET + CALL, "m/main.tf": CHILD})
    bucket = block(module, "aws_s3_bucket.a")
    assert [each.address for each in module.pointing_at(bucket, "bucket", "aws_s3_bucket_versioning")] == [
        "module.m.aws_s3_bucket_versioning.v"
    ]


def test_an_output_leads_to_what_is_behind_it(modules):
    (module,) = modules(
        {"main.tf": BUCKET + CALL + "locals {\n  s = module.m.status\n}\n", "m/main.tf": CHILD}
    )
    (local,) = module.all("locals")
    assert "module.m.aws_s3_bucket_versioning.v.id" in local.references("s")
    assert isinstance(local.value("s"), Unknown)


def test_a_module_that_is_called_never_is_not_sure(modules):
    (module,) = modules(
        {"main.tf": BUCKET + CALL.replace("  name", "  count = 0\n  name"), "m/main.tf": CHILD}
    )
    assert not block(module, "module.m.aws_s3_bucket_versioning.v").sure


def test_a_module_with_a_backend_is_judged_by_itself_as_well(modules):
    backend = 'terraform {\n  backend "s3" {}\n}\n'
    assert len(modules({"main.tf": BUCKET + CALL, "m/main.tf": CHILD + backend})) == 2


def test_modules_that_call_each_other_come_to_an_end(modules):
    assert modules(
        {"a/m.tf": 'module "b" {\n  source = "../b"\n}\n', "b/m.tf": 'module "a" {\n  source = "../a"\n}\n'}
    )


# ---- values

EXPRESSIONS = {
    'format("a-%s", aws_x.y.id)': Partial("a-${aws_x.y.id}"),
    'join("/", ["a", aws_x.y.id])': Partial("a/${aws_x.y.id}"),
    'replace("abc", "/b+/", "*")': "a*c",
    'formatlist("%s-%s", "a", ["x", "y"])': ["a-x", "a-y"],
    'zipmap(["a"], [1])': {"a": 1},
    'startswith("abc", "ab") && endswith("abc", "bc")': True,
    "alltrue([true, 1 < 2])": True,
    "slice([1, 2, 3], 0, 2)": [1, 2],
    "floor(1.5) + ceil(1.5)": 3,
    "coalesce(null, aws_x.y.id)": Unknown("coalesce(null, aws_x.y.id)"),
}


@pytest.mark.parametrize(("expression", "value"), EXPRESSIONS.items())
def test_functions_are_evaluated(modules, expression, value):
    (module,) = modules({"main.tf": f"locals {{\n  x = {expression}\n}}\n"})
    assert module.evaluator.named("local.x") == value
