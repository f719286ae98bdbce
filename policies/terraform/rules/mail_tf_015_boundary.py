"""MAIL_TF_015: the ceiling over what policies say."""

from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module
from policies.terraform.buckets import ignored
from policies.terraform.iam import is_named, statements
from policies.terraform.rule import TerraformRule


class MAIL_TF_015(TerraformRule):
    """A boundary is the ceiling over whatever policies say: without it the next wrong policy has full effect.

    CI may edit the policies of the host and of the restore role; only the boundary keeps those small.
    """

    name = "Boundary set: permissions_boundary on every user, and on every role that people assume"
    severity = Severity.HIGH
    fix = "Set permissions_boundary to the ARN of a policy of this module that is attached to nobody"
    bad = 'resource "aws_iam_user" "uploader" {\n  name = "uploader"\n}\n'
    good = (
        'resource "aws_iam_user" "uploader" {\n  name                 = "uploader"\n'
        "  permissions_boundary = aws_iam_policy.boundary.arn\n}\n"
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at users, and at roles that an AWS principal may assume."""
        people = [
            each.block
            for each in statements(subject)
            if any(kind == "AWS" for kind, _, _ in each.principals())
        ]
        given = [each.value("policy_arn") for each in subject.blocks if each.has("policy_arn")]
        free = [
            each
            for each in subject.resources("aws_iam_policy")
            if not any(is_named(one, each) for one in given)
        ]
        for block in subject.resources("aws_iam_user", "aws_iam_role"):
            if block.labels[0] == "aws_iam_role" and block not in people:
                continue
            yield from ignored(block, "permissions_boundary")
            boundary = block.value("permissions_boundary")
            if not any(is_named(boundary, each) for each in free):
                what = f"{block.address} has no boundary" if not boundary else f"the boundary is {boundary}"
                should = "a policy of this module that is attached to nobody"
                yield Found(
                    block.where("permissions_boundary"), what, should, f"{block.address}/permissions_boundary"
                )


check = MAIL_TF_015()
