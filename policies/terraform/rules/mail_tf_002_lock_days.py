from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policies.model import Found, Place, Severity
from policies.shared.repository import Repository
from policies.terraform.answers import answered, told
from policies.terraform.blocks import Module, number
from policies.terraform.buckets import LOCK, retention_days
from policies.terraform.rule import TerraformRule

VARIABLE = "object_lock_days"


class Asked(NamedTuple):
    """A module, the days that were answered, with the file that says so, and what commands say instead."""

    module: Module
    days: int
    source: str
    told: list[tuple[str, Place]]


class MAIL_TF_002(TerraformRule):
    """A lock shorter than what was decided ends before anybody notices that something is wrong.

    Ransomware waits for weeks; a lock of a few days lets it delete the last clean backup legally. A variable
    that a workflow or a script sets (TF_VAR_…, -var) comes before what the files of the module say.
    """

    name = "Lock long enough: default_retention takes var.object_lock_days, at least the days answered"
    severity = Severity.CRITICAL
    fix = "Write days = var.object_lock_days, and give that variable the number of days that was decided"
    resources = ("aws_s3_bucket_object_lock_configuration",)
    bad = 'rule {\n  default_retention {\n    mode = "COMPLIANCE"\n    days = 1\n  }\n}\n'
    good = 'rule {\n  default_retention {\n    mode = "COMPLIANCE"\n    days = var.object_lock_days\n  }\n}\n'

    def subjects(self, repository: Repository) -> Iterable[Asked]:
        """Return every module with the most days that were asked for; 1 if nobody says."""
        found, said = [], list(told(repository, VARIABLE))
        for module in repository.modules:
            days = [(1, "the least that AWS takes"), *answered(repository, module.folder, VARIABLE)]
            found.append(Asked(module, *max(days, key=lambda pair: pair[0]), said))
        return found

    def check(self, subject: Asked) -> Iterator[Found]:
        """Compare the days of each lock with those asked for and with the variable."""
        variable = number(subject.module.evaluator.named(f"var.{VARIABLE}"))
        least = max(subject.days, variable or 0)
        source = subject.source if least == subject.days else f"var.{VARIABLE}"
        for configuration in subject.module.resources(LOCK):
            for days, place in retention_days(configuration):
                known = number(days)
                if known is None or known < least:
                    what = f"backups are locked for {days} days"
                    should = f"at least {least} days, as {source} says"
                    yield Found(place, what, should, configuration.address)
            for value, place in subject.told:
                if not value.isdecimal() or int(value) < least:
                    what = f"Terraform is told to lock backups for {value or 'no'} days"
                    yield Found(place, what, f"at least {least} days, as {source} says", f"var.{VARIABLE}")


check = MAIL_TF_002()
