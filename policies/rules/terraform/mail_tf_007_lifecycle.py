from collections.abc import Iterator
from typing import Any

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources.buckets import buckets, configurations, lock_days
from policies.sources.terraform import Block, Module

TYPE = "lifecycle_configuration"


def _too_early(days: Any, lock: int, least: int) -> bool:
    return not isinstance(days, int) or isinstance(days, bool) or days < lock + least


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
        """Look at the lifecycle of every bucket with a lock."""
        for bucket in buckets(subject):
            known = [days for days, _ in lock_days(subject, bucket) if isinstance(days, int)]
            for configuration in configurations(subject, bucket, TYPE) if known else []:
                for rule in configuration.inner("rule"):
                    if rule.value("status") != "Disabled":
                        yield from self._rule(rule, max(known), configuration.address)

    def _rule(self, rule: Block, lock: int, entity: str) -> Iterator[Found]:
        for each in rule.inner("expiration"):
            if each.has("date"):
                yield Found(each.where("date"), "backups expire on a date", "days, after the lock", entity)
            elif each.has("days") and _too_early(each.value("days"), lock, 1):
                what = f"backups expire after {each.value('days')} days"
                yield Found(each.where("days"), what, f"more than {lock} days", entity)
        for each in rule.inner("noncurrent_version_expiration"):
            if _too_early(each.value("noncurrent_days"), lock, 0):
                what = f"old versions expire after {each.value('noncurrent_days')} days"
                yield Found(each.where("noncurrent_days"), what, f"at least {lock} days", entity)


check = MAIL_TF_007()
