from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.located import mapping
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import buckets, covers, ignored
from policies.terraform.iam import Statement, reaches, statements
from policies.terraform.rule import TerraformRule

ALL = {"aws_s3_bucket": ("s3:*", "*"), "aws_sns_topic": ("sns:Publish", "sns:*", "*")}
POINTERS = {
    "aws_s3_bucket": ("bucket", "aws_s3_bucket_policy"),
    "aws_sns_topic": ("arn", "aws_sns_topic_policy"),
}


def _denies(statement: Statement, target: Block) -> bool:
    bucket = target.labels[0] == "aws_s3_bucket"
    everybody = any(kind in ("*", "AWS") and name == "*" for kind, name, _ in statement.principals())
    acts = any(str(value) in ALL[target.labels[0]] for value, _ in statement.values("Action"))
    insecure = [str(each).lower() for each in statement.condition("Bool", "aws:SecureTransport")] == ["false"]
    condition = mapping(statement.data.get("Condition"))
    only = len(condition) == 1 and all(len(mapping(asked)) == 1 for asked in condition.values())
    resources = [value for value, _ in statement.values("Resource")]
    itself = any(reaches(each, target) for each in resources)
    inside = not bucket or any(reaches(each, target, "/*") for each in resources)
    return (
        statement.data.get("Effect") == "Deny"
        and everybody
        and acts
        and insecure
        and only
        and itself
        and inside
    )


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
        said = list(statements(subject))
        for target in [*buckets(subject), *subject.resources("aws_sns_topic")]:
            attribute, type = POINTERS[target.labels[0]]
            attached = subject.pointing_at(target, attribute, type)
            # Of several policies the one that is written last counts, and nobody knows which that is.
            for policy in attached or [target]:
                denied = any(_denies(each, target) for each in said if each.block is policy)
                if not denied or not covers(policy, target):
                    yield self._found(target, policy)
                yield from ignored(policy, "policy")

    def _found(self, target: Block, policy: Block) -> Found:
        place = target.place if policy is target else policy.where("policy")
        return Found(place, f"{target.address} answers without TLS", "a Deny without TLS", target.address)


check = MAIL_TF_009()
