"""Rules about Dockerfiles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from policies.dockerfile.reader import Dockerfile
from policies.model import Found
from policies.shared.repository import Repository
from policies.shared.rule import Rule


class DockerfileRule(Rule):
    """Sees one Dockerfile at a time (policies/dockerfile/reader.py)."""

    family = "dockerfile"
    language = "dockerfile"

    def subjects(self, repository: Repository) -> Iterable[Dockerfile]:
        """Return every Dockerfile, and then as Compose builds it: with its arguments and up to its stage."""
        return [each for file in repository.dockerfiles for each in (file, *file.variants)]

    def check(self, subject: Dockerfile) -> Iterator[Found]:
        """Yield the breaches of one Dockerfile."""
        raise NotImplementedError
