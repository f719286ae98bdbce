"""MAIL_TF_012: what policies reach."""

import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import where
from policies.terraform.blocks import Module
from policies.terraform.iam import Statement, is_vague, statements
from policies.terraform.rule import TerraformRule
from policies.terraform.tables import table
from policies.terraform.values import Unknown

BUCKET = re.compile(r"^arn:[^:]*:s3:::(?P<name>[^/*?$]+)(?:/|$)")


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

    name = "Named resources: the ARN of one of ours; a * only for objects in one bucket or parts of one topic"
    severity = Severity.CRITICAL
    fix = "Name the ARN of the bucket, topic, alarm, user or role"
    bad = 'Resource = "*"\n'
    good = 'Resource = "${aws_s3_bucket.backup.arn}/mailserver/*"\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every resource of every Allow."""
        ours = {str(each.value("bucket")) for each in subject.resources("aws_s3_bucket")}
        state = {str(subject.evaluator.named("var.state_bucket")), *subject.states}
        state |= {str(each.value("bucket")) for each in subject.backends()}
        for each in statements(subject):
            if each.allows:
                reads_state = each.block.address in table("tables")["of_state"]
                yield from self._statement(each, ours | state if reads_state else ours)

    def _statement(self, statement: Statement, ours: set[str]) -> Iterator[Found]:
        address = statement.block.address
        if "NotResource" in statement.data:
            place = where(statement.data, "NotResource")
            yield Found(place, "all resources but some", "Resource, by ARN", f"{address}/NotResource")
        for resource, place in statement.values("Resource"):
            entity, bucket = f"{address}/{resource}", BUCKET.match(str(resource))
            if not isinstance(resource, Unknown) and too_wide(str(resource)):
                yield Found(place, f"{address} reaches {resource}", "one ARN by name", entity)
            elif is_vague(resource):
                yield Found(place, f"the resource is {resource}", "an ARN that can be read", entity)
            elif bucket and bucket["name"] not in ours and not isinstance(resource, Unknown):
                yield Found(
                    place, f"{address} reaches the bucket {bucket['name']}", "a bucket of ours", entity
                )


check = MAIL_TF_012()
