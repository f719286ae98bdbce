"""MAIL_TF_007: nothing expires under lock."""

from collections.abc import Iterator

from policies.model import Found
from policies.terraform.blocks import Block, Module
from policies.terraform.buckets import buckets, ignored, lock_days
from policies.terraform.values import number

TYPE = "aws_s3_bucket_lifecycle_configuration"


def check(subject: Module) -> Iterator[Found]:
    """Look at the lifecycle of every bucket with a lock."""
    for bucket in buckets(subject):
        lock = max(lock_days(subject, bucket), default=0)
        for inline in bucket.inner("lifecycle_rule") if lock else ():
            what = f"a lifecycle is in {bucket.address} itself, where it is not judged"
            yield Found(inline.place, what, f"an {TYPE}", f"{bucket.address}/lifecycle_rule")
        for configuration in subject.pointing_at(bucket, "bucket", TYPE) if lock else ():
            yield from ignored(configuration)
            for rule in configuration.inner("rule"):
                if rule.value("status") != "Disabled":
                    yield from _rule(rule, lock, configuration.address)


def _rule(rule: Block, lock: float, address: str) -> Iterator[Found]:
    for path, name, least in (
        ("expiration", "days", lock + 1),
        ("noncurrent_version_expiration", "noncurrent_days", lock),
    ):
        for each in rule.inner(path):
            days = number(each.value(name))
            if each.has("date"):
                what, should = "backups expire on a date", "days, after the lock"
                yield Found(each.where("date"), what, should, f"{address}/{path}.date")
            elif each.value(name) is not None and (days is None or days < least):
                expired = "backups" if name == "days" else "old versions"
                what = f"{expired} expire after {each.value(name)} days"
                yield Found(each.where(name), what, f"at least {least} days", f"{address}/{path}.{name}")
