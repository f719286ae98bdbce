from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import ignored
from policies.terraform.iam import is_named, statements
from policies.terraform.rule import TerraformRule


class MAIL_TF_015(TerraformRule):
    """A boundary is the ceiling over whatever policies say: without it the next wrong policy has full effect.

    CI may edit the policies of the host and of the restore role; only the boundary keeps those small.
    """

    name = "Boundary set: permissions_boundary on every user, and on every role that people assume"
    severity = Severity.HIGH
    fix = "Set permissions_boundary = local.arns.boundary"
    resources = ("aws_iam_user", "aws_iam_role")
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
        roles = [role for role in subject.resources("aws_iam_role") if role in people]
        for block in [*subject.resources("aws_iam_user"), *roles]:
            yield from self._block(subject, block)

    def _block(self, module: Module, block: Block) -> Iterator[Found]:
        yield from ignored(block, "permissions_boundary")
        boundary = block.value("permissions_boundary")
        where = block.where("permissions_boundary")
        if boundary in (None, ""):
            yield Found(where, f"{block.address} has no boundary", "permissions_boundary", block.address)
            return
        ours = [each for each in module.resources("aws_iam_policy") if is_named(boundary, each)]
        if not ours:
            yield Found(where, f"the boundary is {boundary}", "a policy of this module", block.address)
        for policy in ours:
            if self._given(module, policy):
                what = f"{policy.address} gives the rights that it is to limit"
                yield Found(where, what, "a policy that is attached to nobody", block.address)

    def _given(self, module: Module, policy: Block) -> bool:
        values = [each.value("policy_arn") for each in module.blocks if each.has("policy_arn")]
        return any(is_named(value, policy) for value in values)


check = MAIL_TF_015()
