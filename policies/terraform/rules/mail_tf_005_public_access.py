from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module, yes
from policies.terraform.buckets import buckets, ignored, missing
from policies.terraform.rule import TerraformRule

TYPES = ("aws_s3_bucket_public_access_block", "aws_s3_account_public_access_block")
SWITCHES = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")


class MAIL_TF_005(TerraformRule):
    """One wrong policy or ACL makes a bucket readable for the whole world; the block makes that impossible.

    Each of the four switches closes another way, so all of them are needed.
    """

    name = "No public access: an aws_s3_bucket_public_access_block with all four switches true"
    severity = Severity.CRITICAL
    fix = "Set " + ", ".join(SWITCHES) + " to true"
    resources = ("aws_s3_bucket", "aws_s3_bucket_public_access_block")
    bad = "block_public_acls   = true\nblock_public_policy = false\n"
    good = "".join(f"{name} = true\n" for name in SWITCHES)

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket."""
        for bucket in buckets(subject):
            yield from missing(subject, bucket, "public_access_block", "no public access block")
        for block in subject.resources(*TYPES):
            yield from ignored(block)
            for name in SWITCHES:
                if not yes(block.value(name)):
                    what = f"{name} is {str(block.value(name, 'not set')).lower()}"
                    yield Found(block.where(name), what, f"{name} = true", block.address)


check = MAIL_TF_005()
