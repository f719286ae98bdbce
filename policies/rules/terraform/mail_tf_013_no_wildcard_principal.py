from collections.abc import Iterator

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.iam import POLICIES, is_vague, statements
from policies.sources.located import where
from policies.sources.terraform_blocks import Module


class MAIL_TF_013(TerraformRule):
    """A policy that allows something to * allows it to every AWS account of the world.

    A condition beside it is one typing mistake away from a bucket that everybody may read.
    """

    name = "No wildcard principal: an Allow names accounts, roles or services, never * and never NotPrincipal"
    severity = Severity.CRITICAL
    fix = "Name the role, the account or the service"
    resources = tuple(POLICIES)
    bad = 'Effect    = "Allow"\nPrincipal = { AWS = "*" }\n'
    good = 'Effect    = "Allow"\nPrincipal = { Service = "cloudwatch.amazonaws.com" }\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every principal of every Allow."""
        for each in statements(subject):
            address = each.block.address
            for _, name, place in each.principals() if each.allows else ():
                if "*" in str(name):
                    yield Found(place, f"{name} may act", "a principal by name", address)
                elif is_vague(name):
                    yield Found(place, f"the principal is {name}", "one that can be read", address)
            if each.allows and "NotPrincipal" in each.data:
                place = where(each.data, "NotPrincipal")
                yield Found(place, "everybody but some may act", "Principal, by name", address)


check = MAIL_TF_013()
