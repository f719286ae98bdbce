import json
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from policies.families import TerraformRule
from policies.model import Found, Severity
from policies.sources import hcl
from policies.sources.buckets import buckets, lock_days
from policies.sources.located import Unreadable, dig
from policies.sources.repository import Repository
from policies.sources.terraform import Module

EXAMPLE = "terraform.tfvars.example"


class Asked(NamedTuple):
    """A module, and the days that were answered, with the file that says so."""

    module: Module
    days: int
    source: str


def answered(repository: Repository, folder: str) -> tuple[int, str]:
    """Return the most days that an answer or the example of the variables names; 1 if nobody says."""
    found = [(1, "the least that AWS takes")]
    example = f"{folder}/{EXAMPLE}".lstrip("/")
    try:
        if repository.has(example):
            node = hcl.parse(repository.text(example), example).attributes.get("object_lock_days")
            found += [(node.parts[0].parts[0], example)] if node else []
        if repository.has(".cruft.json"):
            answers = json.loads(repository.text(".cruft.json"))
            found.append((dig(answers, "context", "cookiecutter", "object_lock_days"), ".cruft.json"))
    except (Unreadable, ValueError):
        pass  # reported by whoever reads these files as what they are
    days = [(int(value), where) for value, where in found if str(value).isdecimal()]
    return max(days, key=lambda pair: pair[0])


class MAIL_TF_002(TerraformRule):
    """A lock shorter than what was decided ends before anybody notices that something is wrong.

    Ransomware waits for weeks; a lock of a few days lets it delete the last clean backup legally.
    """

    name = "Lock long enough: default_retention takes var.object_lock_days, at least the days answered"
    severity = Severity.CRITICAL
    fix = "Write days = var.object_lock_days, and give that variable the number of days that was decided"
    resources = ("aws_s3_bucket_object_lock_configuration",)
    bad = 'rule {\n  default_retention {\n    mode = "COMPLIANCE"\n    days = 1\n  }\n}\n'
    good = 'rule {\n  default_retention {\n    mode = "COMPLIANCE"\n    days = var.object_lock_days\n  }\n}\n'

    def subjects(self, repository: Repository) -> Iterable[Asked]:
        """Return every module with the days that were asked for."""
        return [Asked(module, *answered(repository, module.folder)) for module in repository.modules]

    def check(self, subject: Asked) -> Iterator[Found]:
        """Compare the days of each lock with those asked for and with the variable's default."""
        default = subject.module.evaluator.named("var.object_lock_days")
        least = max(subject.days, default if isinstance(default, int) else 0)
        source = subject.source if least == subject.days else "var.object_lock_days"
        for bucket in buckets(subject.module):
            for days, place in lock_days(subject.module, bucket):
                if not isinstance(days, int) or isinstance(days, bool) or days < least:
                    what = f"backups are locked for {days} days"
                    yield Found(place, what, f"at least {least} days, as {source} says", bucket.address)


check = MAIL_TF_002()
