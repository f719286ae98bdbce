from collections.abc import Iterator
from typing import Any

from policies.model import Found, Severity
from policies.terraform.blocks import Block, Module, number
from policies.terraform.buckets import buckets, configurations, ignored, lock_days, of_type
from policies.terraform.rule import TerraformRule

TYPE = "lifecycle_configuration"


def _too_early(days: Any, lock: float, least: int) -> bool:
    known = number(days)
    return known is None or known < lock + least


class MAIL_TF_007(TerraformRule):
    """A lifecycle rule that expires a backup before its lock ends hides it: only a delete marker is seen.

    The locked version stays and is paid for, yet neither the restore nor its test finds it any more.
    """

    name = "Nothing expires under lock: expiration days above the lock's, noncurrent_days not below them"
    severity = Severity.HIGH
    fix = "Reckon the days from var.object_lock_days, for instance var.object_lock_days + 30"
    resources = (f"aws_s3_bucket_{TYPE}",)
    bad = "expiration {\n  days = 7\n}\n"
    good = "expiration {\n  days = var.object_lock_days + 30\n}\n"

    def check(self, subject: Module) -> Iterator[Found]:
        """Look at the lifecycle of every bucket with a lock, and of buckets that others make."""
        locks: dict[Block, float] = {}
        for bucket in buckets(subject):
            known = [number(days) or 0 for days, _ in lock_days(subject, bucket) if number(days) is not None]
            for inline in bucket.inner("lifecycle_rule") if known else ():
                what = f"a lifecycle stands in {bucket.address} itself, where it is not judged"
                yield Found(inline.place, what, f"an aws_s3_bucket_{TYPE}", bucket.address)
            for configuration in configurations(subject, bucket, TYPE):
                locks[configuration] = max(known, default=0)
        longest = max(locks.values(), default=0)
        for configuration in of_type(subject, TYPE):
            lock = locks.get(configuration, longest)
            for rule in configuration.inner("rule") if lock else ():
                if rule.value("status") != "Disabled":
                    yield from self._rule(rule, lock, configuration.address)
            yield from ignored(configuration) if lock else ()

    def _rule(self, rule: Block, lock: float, entity: str) -> Iterator[Found]:
        for each in rule.inner("expiration"):
            if each.has("date"):
                yield Found(each.where("date"), "backups expire on a date", "days, after the lock", entity)
            elif each.value("days") is not None and _too_early(each.value("days"), lock, 1):
                what = f"backups expire after {each.value('days')} days"
                yield Found(each.where("days"), what, f"more than {lock} days", entity)
        for each in rule.inner("noncurrent_version_expiration"):
            if _too_early(each.value("noncurrent_days"), lock, 0):
                what = f"old versions expire after {each.value('noncurrent_days')} days"
                yield Found(each.where("noncurrent_days"), what, f"at least {lock} days", entity)


check = MAIL_TF_007()
