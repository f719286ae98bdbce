"""MAIL_TF_015: boundary set."""

from collections.abc import Iterator

from policies.model import Found
from policies.terraform.blocks import Module
from policies.terraform.buckets import ignored
from policies.terraform.iam import is_named, statements


def check(subject: Module) -> Iterator[Found]:
    """Look at users, and at roles that an AWS principal may assume."""
    people = [
        each.block for each in statements(subject) if any(kind == "AWS" for kind, _, _ in each.principals())
    ]
    given = [each.value("policy_arn") for each in subject.blocks if each.has("policy_arn")]
    free = [
        each for each in subject.resources("aws_iam_policy") if not any(is_named(one, each) for one in given)
    ]
    for block in subject.resources("aws_iam_user", "aws_iam_role"):
        if block.labels[0] == "aws_iam_role" and block not in people:
            continue
        yield from ignored(block, "permissions_boundary")
        boundary = block.value("permissions_boundary")
        if not any(is_named(boundary, each) for each in free):
            what = f"{block.address} has no boundary" if not boundary else f"the boundary is {boundary}"
            where, entity = block.where("permissions_boundary"), f"{block.address}/permissions_boundary"
            yield Found(where, what, "a policy of this module that is attached to nobody", entity)
