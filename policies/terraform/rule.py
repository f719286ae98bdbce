"""What rules about Terraform share."""

from __future__ import annotations

from collections.abc import Iterable

from policies.shared.repository import Repository
from policies.shared.rule import Rule
from policies.terraform.blocks import Module


class TerraformRule(Rule):
    """Sees one module at a time, expressions evaluated (policies/terraform/reader.py)."""

    family = "terraform"
    language = "hcl"

    def subjects(self, repository: Repository) -> Iterable[Module]:
        """Return every folder with Terraform files."""
        return repository.modules
