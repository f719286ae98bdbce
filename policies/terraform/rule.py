"""Rules about Terraform modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule
from policies.terraform.module import Module


class TerraformRule(Rule):
    """Sees one module at a time, expressions evaluated (policies/terraform/module.py).

    `resources` are the types of resource about which checkov's Terraform runner asks this rule.
    """

    family = "terraform"
    language = "hcl"
    resources: ClassVar[tuple[str, ...]] = ("*",)

    def subjects(self, repository: Repository) -> Iterable[Module]:
        """Return every folder with Terraform files."""
        return repository.modules

    def check(self, subject: Module) -> Iterator[Found]:
        """Yield the breaches of one module."""
        raise NotImplementedError
