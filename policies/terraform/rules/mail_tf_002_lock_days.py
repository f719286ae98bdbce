"""MAIL_TF_002: lock long enough."""

from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.shared.repository import Repository
from policies.terraform.blocks import Module
from policies.terraform.buckets import LOCK, retention_days
from policies.terraform.reader import parsed
from policies.terraform.values import number

VARIABLE = "object_lock_days"
EXAMPLE = "terraform.tfvars.example"


def answered(repository: Repository, folder: str) -> tuple[int, str]:
    """Return the days that the example of the variables decides, or the least that AWS takes."""
    example = f"{folder}/{EXAMPLE}"
    body = parsed(repository, example) if repository.has(example) else None
    node = body.attributes.get(VARIABLE) if body else None
    days = number(node.parts[0].parts[0]) if node and node.parts[0].parts else None
    return (1, "the least that AWS takes") if days is None else (int(days), EXAMPLE)


def subjects(repository: Repository) -> Iterable[tuple[Module, int, str]]:
    """Return every module with the most days that were decided, and the file that says so."""
    return [(module, *answered(repository, module.folder)) for module in repository.modules]


def check(subject: tuple[Module, int, str]) -> Iterator[Found]:
    """Compare the days of each lock with those decided and with the variable."""
    module, decided, source = subject
    variable = number(module.evaluator.named(f"var.{VARIABLE}")) or 0
    least = max(decided, variable)
    source = source if least == decided else f"var.{VARIABLE}"
    for configuration in module.resources(LOCK):
        for days, place in retention_days(configuration):
            known = number(days)
            if known is None or known < least:
                what, should = (
                    f"backups are locked for {days} days",
                    f"at least {least} days, as {source} says",
                )
                yield Found(place, what, should, f"{configuration.address}/days")
