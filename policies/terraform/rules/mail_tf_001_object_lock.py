from collections.abc import Iterator

from policies.model import Found, Severity
from policies.shared.tables import table
from policies.terraform.blocks import Block, Module, yes
from policies.terraform.buckets import LOCK, buckets, holds_state, ignored, missing
from policies.terraform.rule import TerraformRule


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
        """Look at every bucket but the one for the state, and at every lock."""
        locked = [bucket for bucket in buckets(subject) if not holds_state(subject, bucket)]
        for bucket in locked:
            yield from self._bucket(subject, bucket)
        if not locked and subject.folder in table("terraform")["backups"]:
            yield Found(
                subject.place, "there is no bucket for the backups", "an aws_s3_bucket", subject.folder
            )
        for configuration in subject.resources(LOCK):
            yield from self._lock(configuration)
        for bucket in subject.resources("aws_s3_directory_bucket"):
            yield Found(
                bucket.place, "a directory bucket cannot be locked", "an aws_s3_bucket", bucket.address
            )

    def _bucket(self, module: Module, bucket: Block) -> Iterator[Found]:
        if not yes(bucket.value("object_lock_enabled")):
            where = bucket.where("object_lock_enabled")
            yield Found(
                where, f"{bucket.address} has no Object Lock", "object_lock_enabled = true", bucket.address
            )
        inline = "object_lock_configuration"
        yield from missing(module, bucket, "object_lock_configuration", "no default retention", inline)

    def _lock(self, configuration: Block) -> Iterator[Found]:
        yield from ignored(configuration)
        enabled = configuration.value("object_lock_enabled", "Enabled")
        if enabled != "Enabled":
            where = configuration.where("object_lock_enabled")
            yield Found(
                where, f"the lock is {enabled}", 'object_lock_enabled = "Enabled"', configuration.address
            )
        retention = list(configuration.inner("rule", "default_retention"))
        for each in retention:
            if each.value("mode") != "COMPLIANCE":
                what = f"the lock's mode is {each.value('mode')}"
                yield Found(each.where("mode"), what, 'mode = "COMPLIANCE"', configuration.address)
        if not any(each.sure for each in retention):
            what, should = (
                "the lock has no default retention, or not always",
                "rule { default_retention {…} }",
            )
            yield Found(configuration.place, what, should, configuration.address)


check = MAIL_TF_001()
