"""Rules about Dockerfiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.dockerfile.base_dockerfile_check import BaseDockerfileCheck

from policies.dockerfile.reader import Dockerfile
from policies.model import Found
from policies.shared.entrance import CheckovEntrance
from policies.shared.repository import Repository


class DockerfileRule(BaseDockerfileCheck, CheckovEntrance):
    """Sees one Dockerfile at a time (policies/dockerfile/reader.py)."""

    family = "dockerfile"
    language = "dockerfile"

    def __init__(self) -> None:
        BaseDockerfileCheck.__init__(
            self,
            name=self.name,
            id=self.rule_id,
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_instructions=["*"],
        )

    def subjects(self, repository: Repository) -> Iterable[Dockerfile]:
        """Return every Dockerfile, and then as Compose builds it: with its arguments and up to its stage."""
        return [each for file in repository.dockerfiles for each in (file, *file.variants)]

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Yield the breaches of one Dockerfile."""
        raise NotImplementedError

    def scan_resource_conf(self, conf: Any) -> tuple[CheckResult, Any]:
        """Answer checkov about one Dockerfile, with the instructions that break the rule."""
        lines = {found.place.line - 1 for found in self.breaches(0, 1 << 30)}
        if not lines:
            return CheckResult.PASSED, None
        instructions = [each for group in conf.values() for each in group]
        return CheckResult.FAILED, [each for each in instructions if each["startline"] in lines] or None
