"""MAIL_TF_012: named resources."""

import re
from collections.abc import Iterator

from policies.model import Found
from policies.shared.located import where
from policies.terraform.blocks import Module
from policies.terraform.iam import Statement, is_vague, statements
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


def check(subject: Module) -> Iterator[Found]:
    """Look at every resource of every Allow."""
    ours = {str(each.value("bucket")) for each in subject.resources("aws_s3_bucket")}
    state = {str(subject.evaluator.named("var.state_bucket")), *subject.states}
    state |= {str(each.value("bucket")) for each in subject.backends()}
    for each in statements(subject):
        if each.allows:
            reads_state = each.block.address in table("tables")["of_state"]
            yield from _statement(each, ours | state if reads_state else ours)


def _statement(statement: Statement, ours: set[str]) -> Iterator[Found]:
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
            yield Found(place, f"{address} reaches the bucket {bucket['name']}", "a bucket of ours", entity)
