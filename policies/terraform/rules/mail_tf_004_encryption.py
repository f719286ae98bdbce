from collections.abc import Iterator

from policies.model import Found, Severity
from policies.terraform.blocks import Module
from policies.terraform.buckets import buckets, ignored, missing, of_type, settings
from policies.terraform.rule import TerraformRule

TYPE = "server_side_encryption_configuration"
ALGORITHMS = ("AES256", "aws:kms", "aws:kms:dsse")


class MAIL_TF_004(TerraformRule):
    """Encryption that is written down stays; a default of the provider is one nobody reviews.

    The state holds the host's access key in the clear, the backups hold everybody's mail.
    """

    name = "Buckets encrypted: an aws_s3_bucket_server_side_encryption_configuration with AES256 or aws:kms"
    severity = Severity.HIGH
    fix = 'Add the configuration with apply_server_side_encryption_by_default { sse_algorithm = "AES256" }'
    resources = ("aws_s3_bucket", f"aws_s3_bucket_{TYPE}")
    bad = 'resource "aws_s3_bucket" "backup" {\n  bucket = "acme-backup"\n}\n'
    good = (
        f'resource "aws_s3_bucket_{TYPE}" "backup" {{\n  bucket = aws_s3_bucket.backup.id\n\n  rule {{\n'
        '    apply_server_side_encryption_by_default {\n      sse_algorithm = "AES256"\n    }\n  }\n}\n'
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket."""
        for bucket in buckets(subject):
            yield from missing(subject, bucket, TYPE, "no encryption of its own", TYPE)
        for configuration in of_type(subject, TYPE):
            yield from ignored(configuration)
            for each in settings(configuration, "rule", "apply_server_side_encryption_by_default"):
                if each.value("sse_algorithm") not in ALGORITHMS:
                    what = f"the algorithm is {each.value('sse_algorithm')}"
                    should = 'sse_algorithm = "AES256"'
                    yield Found(each.where("sse_algorithm"), what, should, configuration.address)


check = MAIL_TF_004()
