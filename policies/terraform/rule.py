"""Rules about Terraform modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck

from policies.model import Found
from policies.shared.entrance import CheckovEntrance
from policies.shared.repository import Repository
from policies.terraform.module import Module


class TerraformRule(BaseResourceCheck, CheckovEntrance):
    """Sees one module at a time, expressions evaluated (policies/terraform/module.py).

    `resources` are the types of resource about which checkov's Terraform runner asks this rule.
    """

    family = "terraform"
    language = "hcl"
    resources: ClassVar[tuple[str, ...]] = ("*",)

    def __init__(self) -> None:
        BaseResourceCheck.__init__(
            self,
            name=self.name,
            id=self.rule_id,
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_resources=list(self.resources),
        )

    def subjects(self, repository: Repository) -> Iterable[Module]:
        """Return every folder with Terraform files."""
        return repository.modules

    def check(self, subject: Module) -> Iterator[Found]:
        """Yield the breaches of one module."""
        raise NotImplementedError

    def scan_entity_conf(self, conf: Any, entity_type: str) -> CheckResult:
        """Answer checkov about one resource."""
        self.entity_type = entity_type
        found = self.breaches(conf.get("__start_line__", 0), conf.get("__end_line__", 0))
        return CheckResult.FAILED if found else CheckResult.PASSED

    def scan_resource_conf(self, conf: Any) -> CheckResult:
        """Stand in for checkov's own entrance, which this class goes around."""
        return self.scan_entity_conf(conf, self.entity_type)
