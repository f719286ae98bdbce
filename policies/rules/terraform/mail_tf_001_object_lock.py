from collections.abc import Iterator

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.terraform import Block, Module

LOCK = "aws_s3_bucket_object_lock_configuration"


class MAIL_TF_001(TerraformRule):
    """Object Lock in COMPLIANCE mode is what keeps a backup when everything else is lost, the account
    included.

    In GOVERNANCE mode, or without a default retention, whoever steals the host's key or an administrator's
    session deletes the backups first and the mail after that. A refactor elsewhere dropped the lock
    unnoticed.
    """

    name = (
        "Backups locked: object_lock_enabled and a default retention in COMPLIANCE mode on the backup bucket"
    )
    severity = Severity.CRITICAL
    fix = f"Set object_lock_enabled = true on the bucket and give it an {LOCK} with mode COMPLIANCE"
    resources = ("aws_s3_bucket",)
    bad = 'resource "aws_s3_bucket" "backup" {\n  bucket = "acme-backup"\n}\n'
    good = (
        'resource "aws_s3_bucket" "backup" {\n  bucket = "acme-backup"\n  object_lock_enabled = true\n}\n\n'
        f'resource "{LOCK}" "backup" {{\n  bucket = aws_s3_bucket.backup.id\n\n'
        '  rule {\n    default_retention {\n      mode = "COMPLIANCE"\n      days = 30\n    }\n  }\n}\n'
    )

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at every bucket but the one for the state."""
        for bucket in subject.resources("aws_s3_bucket"):
            if "state" not in f"{bucket.labels[1]} {subject.folder}":
                yield from self._bucket(subject, bucket)

    def _bucket(self, module: Module, bucket: Block) -> Iterator[Found]:
        if bucket.value("object_lock_enabled") is not True:
            where = bucket.where("object_lock_enabled")
            yield Found(
                where, f"{bucket.address} has no Object Lock", "object_lock_enabled = true", bucket.address
            )
        configurations = module.pointing_at(bucket, "bucket", LOCK)
        if not configurations:
            yield Found(
                bucket.place, f"{bucket.address} has no default retention", f"an {LOCK}", bucket.address
            )
        for configuration in configurations:
            retention = list(configuration.inner("rule", "default_retention"))
            for each in retention:
                if each.value("mode") != "COMPLIANCE":
                    what = f"the lock's mode is {each.value('mode')}"
                    yield Found(each.where("mode"), what, 'mode = "COMPLIANCE"', configuration.address)
            if not retention:
                yield Found(
                    configuration.place,
                    "the lock has no default retention",
                    "rule { default_retention {…} }",
                    configuration.address,
                )


check = MAIL_TF_001()
