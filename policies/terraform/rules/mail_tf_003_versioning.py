from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module
from policies.terraform.buckets import buckets, ignored, missing, of_type, settings
from policies.terraform.rule import TerraformRule


class MAIL_TF_003(TerraformRule):
    """Without versions an upload under an old name replaces the backup, and a broken apply the only state.

    Object Lock protects versions: a bucket without them is not protected at all.
    """

    name = "Versions kept: an aws_s3_bucket_versioning with status Enabled for every bucket"
    severity = Severity.CRITICAL
    fix = 'Add an aws_s3_bucket_versioning with versioning_configuration { status = "Enabled" }'
    resources = ("aws_s3_bucket", "aws_s3_bucket_versioning")
    bad = 'versioning_configuration {\n  status = "Suspended"\n}\n'
    good = 'versioning_configuration {\n  status = "Enabled"\n}\n'

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket."""
        for bucket in buckets(subject):
            yield from missing(subject, bucket, "versioning", "no versions", "versioning")
        for configuration in of_type(subject, "versioning"):
            yield from ignored(configuration)
            for each in settings(configuration, "versioning_configuration"):
                if each.value("status") != "Enabled":
                    what = f"versioning is {each.value('status')}"
                    yield Found(each.where("status"), what, 'status = "Enabled"', configuration.address)


check = MAIL_TF_003()
