from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import sequence
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import ignored
from policies.terraform.iam import (
    ATTRIBUTES,
    POLICIES,
    Statement,
    is_named,
    is_open,
    listed,
    policies,
)
from policies.terraform.rule import TerraformRule

#: Attributes that give a policy or the rights of a group, and the type of what they must name.
GIVEN = {
    "policy_arn": "aws_iam_policy",
    "policy_arns": "aws_iam_policy",
    "managed_policy_arns": "aws_iam_policy",
    "groups": "aws_iam_group",
    "group": "aws_iam_group",
}


class MAIL_TF_010(TerraformRule):
    """Whoever takes over the host has its rights: with s3:DeleteObject or iam:CreateUser that is the account.

    policies/data/iam.yml lists what each policy may allow and what for; all else needs a reason there first.
    """

    name = "Least privilege: every allowed action stands in policies/data/iam.yml with what it is needed for"
    severity = Severity.CRITICAL
    fix = "Remove the action, or list it for this policy in policies/data/iam.yml with its reason"
    resources = tuple(POLICIES)
    bad = 'Action = ["s3:PutObject", "s3:DeleteObject"]\n'
    good = 'Action = ["s3:PutObject", "s3:GetObject"]\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every allowed action; wildcards are another rule's."""
        for each in policies(subject):
            if not isinstance(each, Statement):
                yield Found(each.place, each.what, "a policy that can be read here", each.block.address)
            elif each.allows:
                yield from self._statement(each)
        for block in subject.blocks:
            if block.type == "resource" and len(block.labels) > 1 and block.labels[0].startswith("aws_iam_"):
                yield from ignored(block, *ATTRIBUTES)
                for name in GIVEN:
                    yield from self._given(subject, block, name)

    def _given(self, module: Module, block: Block, name: str) -> Iterator[Found]:
        value = block.value(name)
        ours = module.resources(GIVEN[name])
        if value is None or value == [] or block.labels[0] == "aws_iam_group_policy":
            return
        for each in sequence(value):
            if not any(is_named(each, one) for one in ours):
                what = f"{block.address} gives the rights of {each}, which cannot be read here"
                should = f"an {GIVEN[name]} of this module"
                yield Found(block.where(name), what, should, block.address)

    def _statement(self, statement: Statement) -> Iterator[Found]:
        address = statement.block.address
        for action, place in statement.values("Action"):
            if is_open(action) or not isinstance(action, str):
                yield Found(place, f"the action is {action}", "an action that can be read here", address)
            elif "*" not in action and "?" not in action and not listed(address, action):
                yield Found(place, f"{address} allows {action}", "only what iam.yml lists", address)


check = MAIL_TF_010()
