import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import where
from policies.terraform.blocks import Module, Unknown
from policies.terraform.iam import POLICIES, Statement, is_vague, statements
from policies.terraform.rule import TerraformRule


def too_wide(resource: str) -> bool:
    """Tell whether a resource is more than one bucket, its objects, or one named thing and its parts."""
    head, star, _ = resource.partition("*")
    if not star:
        return "?" in resource
    arn = head.split(":", 5)
    if len(arn) < 6:  # a reference stands for the whole ARN
        return not re.search(r"\}[/:]", head)
    service, rest = arn[2], arn[5]
    return not (re.match(r"[^/]+/", rest) if service == "s3" else re.search(r"[^:/]+:$", rest))


class MAIL_TF_012(TerraformRule):
    """A right on every resource reaches what is none of our business, and whatever is made tomorrow.

    An uploader with s3:PutObject on * fills the state bucket; a role with iam rights on role/* edits itself.
    """

    name = (
        "No wildcard resource: name the ARN; a * only for objects in one named bucket or parts of one topic"
    )
    severity = Severity.CRITICAL
    fix = "Name the ARN of the bucket, topic, alarm, user or role"
    resources = tuple(POLICIES)
    bad = 'Resource = "*"\n'
    good = 'Resource = "${aws_s3_bucket.backup.arn}/mailserver/*"\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every resource of every Allow."""
        for each in statements(subject):
            if each.allows:
                yield from self._statement(each)

    def _statement(self, statement: Statement) -> Iterator[Found]:
        address = statement.block.address
        if "NotResource" in statement.data:
            place = where(statement.data, "NotResource")
            yield Found(place, "all resources but some", "Resource, one by one", address)
        for resource, place in statement.values("Resource"):
            if not isinstance(resource, Unknown) and too_wide(str(resource)):
                yield Found(place, f"{address} reaches {resource}", "one ARN by name", address)
            elif is_vague(resource):
                yield Found(place, f"the resource is {resource}", "an ARN that can be read", address)


check = MAIL_TF_012()
