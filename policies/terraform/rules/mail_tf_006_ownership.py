from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module
from policies.terraform.buckets import buckets, ignored, missing, of_type, settings
from policies.terraform.rule import TerraformRule


class MAIL_TF_006(TerraformRule):
    """ACLs are a second, older set of rights that policies do not see; whoever uploads could own the object.

    With BucketOwnerEnforced there are no ACLs, and every backup belongs to the account that pays for it.
    """

    name = "ACLs off: aws_s3_bucket_ownership_controls with BucketOwnerEnforced, and no aws_s3_bucket_acl"
    severity = Severity.MEDIUM
    fix = 'Set object_ownership = "BucketOwnerEnforced" and remove every ACL'
    resources = ("aws_s3_bucket", "aws_s3_bucket_ownership_controls", "aws_s3_bucket_acl", "aws_s3_object")
    bad = 'rule {\n  object_ownership = "ObjectWriter"\n}\n'
    good = 'rule {\n  object_ownership = "BucketOwnerEnforced"\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket and at every ACL."""
        for bucket in buckets(subject):
            yield from missing(subject, bucket, "ownership_controls", "no ownership controls")
            for grant in bucket.inner("grant"):
                yield Found(grant.place, f"{bucket.address} has an ACL", "no grant", bucket.address)
        for controls in of_type(subject, "ownership_controls"):
            yield from ignored(controls)
            for rule in settings(controls, "rule"):
                if rule.value("object_ownership") != "BucketOwnerEnforced":
                    what = f"objects belong to {rule.value('object_ownership')}"
                    should = 'object_ownership = "BucketOwnerEnforced"'
                    yield Found(rule.where("object_ownership"), what, should, controls.address)
        for block in subject.resources("aws_s3_bucket_acl", "aws_s3_object_acl"):
            yield Found(block.place, f"{block.address} is an ACL", "no ACL at all", block.address)
        for block in subject.resources("aws_s3_bucket", "aws_s3_object", "aws_s3_object_copy"):
            if block.value("acl") is not None:
                yield Found(block.where("acl"), f"{block.address} has an ACL", "no acl", block.address)


check = MAIL_TF_006()
