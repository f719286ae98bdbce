from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import where
from policies.terraform.blocks import Module
from policies.terraform.iam import POLICIES, statements
from policies.terraform.rule import TerraformRule


class MAIL_TF_011(TerraformRule):
    """A wildcard allows what nobody read, and what AWS invents later: s3:* has s3:PutBucketPolicy in it.

    Written with join, format, jsonencode or a policy document data source it is a wildcard all the same.
    """

    name = "No wildcard action: name each action, and never NotAction in an Allow"
    severity = Severity.CRITICAL
    fix = "Name the actions that are needed one by one"
    resources = tuple(POLICIES)
    bad = 'Action = join(":", ["s3", "*"])\n'
    good = 'Action = ["s3:PutObject", "s3:GetObject"]\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every action of every Allow."""
        for each in statements(subject):
            if not each.allows:
                continue
            address = each.block.address
            if "NotAction" in each.data:
                place = where(each.data, "NotAction")
                yield Found(place, "all actions but some are allowed", "Action, one by one", address)
            for action, place in each.values("Action"):
                if "*" in str(action) or "?" in str(action):
                    yield Found(place, f"{address} allows {action}", "actions one by one", address)


check = MAIL_TF_011()
