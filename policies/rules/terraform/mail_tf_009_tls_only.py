from collections.abc import Iterator

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.buckets import buckets
from policies.sources.iam import Statement, statements
from policies.sources.terraform import Block, Module

ALL = {"aws_s3_bucket": ("s3:*", "*"), "aws_sns_topic": ("sns:Publish", "sns:*", "*")}
POINTERS = {
    "aws_s3_bucket": ("bucket", "aws_s3_bucket_policy"),
    "aws_sns_topic": ("arn", "aws_sns_topic_policy"),
}


def _denies(statement: Statement, actions: tuple[str, ...], objects: bool) -> bool:
    everybody = any(name == "*" for _, name, _ in statement.principals())
    acts = any(str(value) in actions for value, _ in statement.values("Action"))
    insecure = [str(each).lower() for each in statement.condition("Bool", "aws:SecureTransport")] == ["false"]
    resources = [str(value) for value, _ in statement.values("Resource")]
    inside = not objects or any(each.endswith("/*") or each == "*" for each in resources)
    itself = not objects or any(not each.endswith("/*") for each in resources)
    only = not isinstance(statement.data.get("Condition"), dict) or len(statement.data["Condition"]) == 1
    return not statement.allows and everybody and acts and insecure and inside and itself and only


class MAIL_TF_009(TerraformRule):
    """S3 and SNS answer over plain HTTP as well; a wrong endpoint setting then sends backups in the clear.

    Only a Deny in the resource's own policy, for everybody and every action, makes that impossible.
    """

    name = "TLS only: a Deny for everybody where aws:SecureTransport is false, on bucket, objects and topics"
    severity = Severity.HIGH
    fix = 'Add a statement: Deny, Principal "*", Action "s3:*", both ARNs, Bool aws:SecureTransport "false"'
    resources = ("aws_s3_bucket", "aws_sns_topic")
    bad = 'resource "aws_s3_bucket" "backup" {\n  bucket = "acme-backup"\n}\n'
    good = (
        'Statement = [{\n  Effect    = "Deny"\n  Principal = "*"\n  Action    = "s3:*"\n'
        '  Resource  = [aws_s3_bucket.backup.arn, "${aws_s3_bucket.backup.arn}/*"]\n'
        '  Condition = { Bool = { "aws:SecureTransport" = "false" } }\n}]\n'
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket and topic."""
        for target in [*buckets(subject), *subject.resources("aws_sns_topic")]:
            kind = target.labels[0]
            attribute, type = POINTERS[kind]
            policies = [target, *subject.pointing_at(target, attribute, type)]
            if not any(
                _denies(each, ALL[kind], kind == "aws_s3_bucket")
                for each in statements(subject)
                if each.block in policies
            ):
                yield self._found(target, policies)

    def _found(self, target: Block, policies: list[Block]) -> Found:
        place = policies[1].where("policy") if len(policies) > 1 else target.place
        return Found(place, f"{target.address} answers without TLS", "a Deny without TLS", target.address)


check = MAIL_TF_009()
