from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module, yes
from policies.terraform.buckets import buckets
from policies.terraform.rule import TerraformRule


class MAIL_TF_008(TerraformRule):
    """A renamed variable is enough for Terraform to plan a bucket's replacement: it deletes the old first.

    prevent_destroy refuses that plan; force_destroy would empty the bucket so that nothing stands in the way.
    """

    name = "Buckets are never destroyed: lifecycle { prevent_destroy = true } and no force_destroy"
    severity = Severity.HIGH
    fix = "Add lifecycle { prevent_destroy = true } to the bucket and leave force_destroy false"
    resources = ("aws_s3_bucket",)
    bad = 'resource "aws_s3_bucket" "backup" {\n  bucket        = "acme-backup"\n  force_destroy = true\n}\n'
    good = (
        'resource "aws_s3_bucket" "backup" {\n  bucket = "acme-backup"\n\n'
        "  lifecycle {\n    prevent_destroy = true\n  }\n}\n"
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket."""
        for bucket in buckets(subject):
            if bucket.value("force_destroy") not in (None, False, "false"):
                what = f"force_destroy is {str(bucket.value('force_destroy')).lower()}"
                yield Found(bucket.where("force_destroy"), what, "force_destroy = false", bucket.address)
            lifecycle = list(bucket.inner("lifecycle"))
            if not any(yes(each.value("prevent_destroy")) for each in lifecycle):
                place = lifecycle[0].where("prevent_destroy") if lifecycle else bucket.place
                yield Found(
                    place, f"{bucket.address} may be destroyed", "prevent_destroy = true", bucket.address
                )


check = MAIL_TF_008()
