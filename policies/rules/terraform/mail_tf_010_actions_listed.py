from collections.abc import Iterator
from fnmatch import fnmatchcase

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.iam import POLICIES, Statement, is_open, policies
from policies.sources.located import sequence
from policies.sources.tables import table
from policies.sources.terraform import Module

ATTACHED = {"policy_arn": "aws_iam_", "managed_policy_arns": "aws_iam_role"}


def listed(address: str, action: str) -> bool:
    """Tell whether policies/data/iam.yml has an action for a policy; IAM does not mind the case."""
    may = table("iam").get(address) or table("iam")["host"]
    return any(fnmatchcase(action.lower(), each.lower()) for each in may)


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
        for block in [each for each in subject.blocks if each.type == "resource" and len(each.labels) > 1]:
            for name, types in ATTACHED.items():
                arns = sequence(block.value(name)) if block.labels[0].startswith(types) else []
                for arn in arns:
                    if ":aws:policy/" in str(arn):
                        what = f"{arn} is a policy of AWS, which changes as AWS likes"
                        yield Found(block.where(name), what, "a policy of ours", block.address)

    def _statement(self, statement: Statement) -> Iterator[Found]:
        address = statement.block.address
        for action, place in statement.values("Action"):
            if is_open(action) or not isinstance(action, str):
                yield Found(place, f"the action is {action}", "an action that can be read here", address)
            elif "*" not in action and "?" not in action and not listed(address, action):
                yield Found(place, f"{address} allows {action}", "only what iam.yml lists", address)


check = MAIL_TF_010()
