"""The door for plain checkov: checkov -d . --external-checks-dir policies/plain_checkov.

Makes a custom check of each rule and puts it into the register of its runner. checkov asks once an entity (a
service, a resource, a file) and gets one verdict; the gate calls the rules itself and gets every breach.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.dockerfile.base_dockerfile_check import BaseDockerfileCheck
from checkov.github_actions.checks.base_github_action_check import BaseGithubActionsCheck
from checkov.terraform.checks.resource.base_resource_check import BaseResourceCheck
from checkov.yaml_doc.base_yaml_check import BaseYamlCheck
from checkov.yaml_doc.enums import BlockType

from policies.gate.loading import load
from policies.model import Finding
from policies.readers import Repository
from policies.shared.rule import Rule

LINES = ("__startline__", "__endline__")
WHOLE = (0, 1 << 30)
CATEGORIES = [CheckCategories.GENERAL_SECURITY]


@lru_cache(maxsize=512)
def _findings(rule: Rule, root: Path) -> tuple[Finding, ...]:
    return tuple(rule.findings(_repository(root)))


@lru_cache(maxsize=4)
def _repository(root: Path) -> Repository:
    return Repository(root)


def breaches(rule: Rule, entity_path: str, first: int, last: int) -> list[Finding]:
    """Return the breaches in the entity `file:type:name` that checkov asks about, on these lines."""
    root = Path.cwd()
    named, _, name = entity_path.split(":", 2)
    for path in (root / named, root / named.lstrip("/")):
        if path.is_file() and path.resolve().is_relative_to(root):
            file = path.resolve().relative_to(root).as_posix()
            here = [each for each in _findings(rule, root) if each.place.file == file]
            own = [each for each in here if each.entity == name or each.entity.startswith(f"{name}/")]
            return own + [each for each in here if first <= each.place.line <= last and each not in own]
    raise FileNotFoundError(f"{named}: run checkov from the repository's root, with -d .")


class ComposeCheck(BaseYamlCheck):
    """Asked once a service."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name, rule.rule_id, CATEGORIES, ["services"], BlockType.ARRAY)
        self.rule = rule

    def scan_entity_conf(self, conf: Any, entity_type: str) -> tuple[CheckResult, Any]:
        """Answer about one service, narrowed to the line of the first breach."""
        first, last = (conf.get(line, 0) for line in LINES) if isinstance(conf, dict) else (0, 0)
        for found in breaches(self.rule, self.entity_path, first, last):
            return CheckResult.FAILED, dict.fromkeys(LINES, found.place.line)
        return CheckResult.PASSED, conf


class DockerfileCheck(BaseDockerfileCheck):
    """Asked once a Dockerfile."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name, rule.rule_id, CATEGORIES, ["*"])
        self.rule = rule

    def scan_resource_conf(self, conf: Any) -> tuple[CheckResult, Any]:
        """Answer about one Dockerfile, with the instructions that break the rule."""
        lines = {found.place.line - 1 for found in breaches(self.rule, self.entity_path, *WHOLE)}
        if not lines:
            return CheckResult.PASSED, None
        instructions = [each for group in conf.values() for each in group]
        return CheckResult.FAILED, [each for each in instructions if each["startline"] in lines] or None


class TerraformCheck(BaseResourceCheck):
    """Asked once a resource."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name, rule.rule_id, CATEGORIES, list(getattr(rule, "resources", ("*",))))
        self.rule = rule

    def scan_entity_conf(self, conf: Any, entity_type: str) -> CheckResult:
        """Answer about one resource."""
        self.entity_type = entity_type
        lines = conf.get("__start_line__", 0), conf.get("__end_line__", 0)
        return CheckResult.FAILED if breaches(self.rule, self.entity_path, *lines) else CheckResult.PASSED

    def scan_resource_conf(self, conf: Any) -> CheckResult:
        """Stand in for checkov's own method, which this class goes around."""
        return self.scan_entity_conf(conf, self.entity_type)


class WorkflowCheck(BaseGithubActionsCheck):
    """Asked once a workflow."""

    def __init__(self, rule: Rule) -> None:
        super().__init__(rule.name, rule.rule_id, ["*"], BlockType.OBJECT)
        self.rule, self.block_type = rule, "document"

    def scan_conf(self, conf: Any) -> tuple[CheckResult, Any]:
        """Answer about one workflow, narrowed to the line of the first breach."""
        for found in breaches(self.rule, self.entity_path, *WHOLE):
            return CheckResult.FAILED, dict.fromkeys(LINES, found.place.line)
        return CheckResult.PASSED, conf


#: checkov has no runner for the services' own configuration files, nor for a repository as a whole.
DOORS = {
    "compose": ComposeCheck,
    "dockerfile": DockerfileCheck,
    "terraform": TerraformCheck,
    "workflows": WorkflowCheck,
}
CHECKS = [DOORS[rule.family](rule) for rule in load().values() if rule.family in DOORS]
