import re
from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import sequence
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module, names
from policies.terraform.iam import Statement, is_named, listed, plain_address, statements
from policies.terraform.rule import TerraformRule

#: Who gets a key or rights, by the resource that gives them.
GETS = {
    "aws_iam_access_key": ("user", "aws_iam_user"),
    "aws_iam_user_policy_attachment": ("user", "aws_iam_user"),
    "aws_iam_role_policy_attachment": ("role", "aws_iam_role"),
    "aws_iam_role_policy": ("role", "aws_iam_role"),
}
BUCKET = re.compile(r"^arn:[^:]*:s3:::(?P<name>[^/]+)")
LOOKED_UP = re.compile(r"^\$\{(?P<address>(?:module\.[\w-]+\.)*data\.aws_s3_bucket\.[\w-]+)\.arn\}$")
CONDITION = "iam:PermissionsBoundary"


class MAIL_TF_024(TerraformRule):
    """Rights are as small as what they reach: the state holds the host's key, other buckets more.

    A key for another user, or rights that are given without asking for the boundary, are a way out of
    everything that is limited here.
    """

    name = (
        "Rights stay inside: keys and policies for our own users, on our own buckets, given with the boundary"
    )
    severity = Severity.CRITICAL
    fix = "Name a user, role or bucket of this module, and ask for iam:PermissionsBoundary by StringEquals"
    resources = ("aws_iam_policy", "aws_iam_role_policy", *GETS)
    bad = 'resource "aws_iam_access_key" "more" {\n  user = "admin"\n}\n'
    good = 'resource "aws_iam_access_key" "uploader" {\n  user = aws_iam_user.uploader.name\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at who gets rights, at what they reach, and at those that give rights to others."""
        for block in subject.resources(*GETS):
            attribute, type = GETS[block.labels[0]]
            value = block.value(attribute)
            ours = subject.resources(type)
            if not any(names(block, attribute, each) or is_named(value, each) for each in ours):
                what, should = f"{block.address} is for {value}", f"an {type} of this module"
                yield Found(block.where(attribute), what, should, block.address)
        for each in statements(subject):
            if each.allows and each.block.labels[0] in self.resources:
                yield from self._reached(subject, each)
                yield from self._given(subject, each)

    def _reached(self, module: Module, statement: Statement) -> Iterator[Found]:
        address = statement.block.address
        ours = {str(each.value("bucket")) for each in module.resources("aws_s3_bucket")}
        if plain_address(address) in table("terraform")["of_state"]:
            ours |= {str(module.evaluator.named("var.state_bucket")), *module.states}
        for resource, place in statement.values("Resource"):
            name = self._bucket(module, str(resource))
            # A wildcard is another rule's, a reference a bucket that stands in the files.
            if name and not re.search(r"[*?]|\$\{", name) and name not in ours:
                what = f"{address} reaches the bucket {name}"
                yield Found(place, what, "a bucket of this module", address)

    def _bucket(self, module: Module, resource: str) -> str:
        """Return the name of the bucket that a resource is or is in, also that of a data source."""
        if matched := LOOKED_UP.match(resource):
            sources = [each for each in module.all("data") if each.address == matched["address"]]
            return str(sources[0].value("bucket")) if sources else ""
        matched = BUCKET.match(resource)
        return matched["name"] if matched else ""

    def _given(self, module: Module, statement: Statement) -> Iterator[Found]:
        bounded = [each.lower() for each in table("terraform")["bounded"]]
        address = statement.block.address
        giving = [
            (name, place)
            for name, place in statement.values("Action")
            # What is not listed at all is another rule's.
            if str(name).lower() in bounded and listed(address, str(name))
        ]
        asked = sequence(statement.condition("StringEquals", CONDITION))
        boundaries = [each for each in module.resources("aws_iam_policy") if self._is_boundary(module, each)]
        if giving and not (asked and all(any(is_named(one, each) for each in boundaries) for one in asked)):
            name, place = giving[0]
            what = f"{name} is allowed without the boundary, or with another"
            should = f"StringEquals {CONDITION} with the boundary's ARN"
            yield Found(place, what, should, address)

    def _is_boundary(self, module: Module, policy: Block) -> bool:
        limited = module.resources("aws_iam_user", "aws_iam_role")
        return any(is_named(each.value("permissions_boundary"), policy) for each in limited)


check = MAIL_TF_024()
