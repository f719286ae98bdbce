import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found, Severity
from policies.shared.located import where
from policies.shared.tables import table
from policies.terraform.blocks import Module, Unknown
from policies.terraform.iam import POLICIES, is_vague, statements
from policies.terraform.rule import TerraformRule

ACCOUNT = re.compile(r"^(?:arn:[^:]*:(?:iam|sts)::)?(?P<account>[^:]*)(?::|$)")


def is_ours(kind: str, name: Any) -> bool:
    """Tell whether a principal is of this account, or one that policies/data/terraform.yml names.

    What only Terraform knows is a resource or the account itself: others are vague, and reported as such.
    """
    known, text = table("terraform"), str(name)
    if kind == "Service":
        return text in known["services"]
    if kind not in ("AWS", "Federated"):
        return False
    account = ACCOUNT.match(text)
    return isinstance(name, Unknown) or bool(
        account and (account["account"].startswith("${") or account["account"] in map(str, known["accounts"]))
    )


class MAIL_TF_013(TerraformRule):
    """A policy that allows something to * allows it to every AWS account of the world.

    A condition beside it is one typing mistake away from a bucket that everybody may read. A stranger's
    account or service in a policy needs no mistake at all: it may read now.
    """

    name = "Only ours may act: an Allow names this account's own, never *, NotPrincipal or a stranger"
    severity = Severity.CRITICAL
    fix = "Name a role of this account, or list the account or service in policies/data/terraform.yml"
    resources = tuple(POLICIES)
    bad = 'Effect    = "Allow"\nPrincipal = { AWS = "*" }\n'
    good = 'Effect    = "Allow"\nPrincipal = { Service = "cloudwatch.amazonaws.com" }\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every principal of every Allow."""
        for each in statements(subject):
            address = each.block.address
            for kind, name, place in each.principals() if each.allows else ():
                if "*" in str(name):
                    yield Found(place, f"{name} may act", "a principal by name", address)
                elif is_vague(name):
                    yield Found(place, f"the principal is {name}", "one that can be read", address)
                elif not is_ours(kind, name):
                    should = "this account, or one of accounts or services in policies/data/terraform.yml"
                    yield Found(place, f"a stranger may act: {name}", should, address)
            if each.allows and "NotPrincipal" in each.data:
                place = where(each.data, "NotPrincipal")
                yield Found(place, "everybody but some may act", "Principal, by name", address)


check = MAIL_TF_013()
