"""MAIL_TF_002: lock long enough."""

import json
from collections.abc import Iterable, Iterator

from policies.model import Found
from policies.shared.located import dig
from policies.shared.repository import Repository
from policies.terraform.blocks import Module
from policies.terraform.buckets import LOCK, retention_days
from policies.terraform.reader import parsed
from policies.terraform.values import number

VARIABLE = "object_lock_days"
ANSWERS, EXAMPLE = ".cruft.json", "terraform.tfvars.example"


def answered(repository: Repository, folder: str) -> Iterator[tuple[int, str]]:
    """Yield the days that were decided: in the answers, and in the example of the variables."""
    yield 1, "the least that AWS takes"
    try:
        answers = json.loads(repository.text(ANSWERS)) if repository.has(ANSWERS) else None
    except ValueError:
        answers = None  # reported by whoever reads that file as what it is
    body = parsed(repository, f"{folder}/{EXAMPLE}") if repository.has(f"{folder}/{EXAMPLE}") else None
    node = body.attributes.get(VARIABLE) if body else None
    example = node.parts[0].parts[0] if node and node.parts[0].parts else None
    for value, source in ((dig(answers, "context", "cookiecutter", VARIABLE), ANSWERS), (example, EXAMPLE)):
        if (days := number(value)) is not None:
            yield int(days), source


def subjects(repository: Repository) -> Iterable[tuple[Module, int, str]]:
    """Return every module with the most days that were decided, and the file that says so."""
    return [
        (module, *max(answered(repository, module.folder), key=lambda pair: pair[0]))
        for module in repository.modules
    ]


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
                should = f"at least {least} days, as {source} says"
                yield Found(
                    place, f"backups are locked for {days} days", should, f"{configuration.address}/days"
                )
