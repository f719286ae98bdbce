"""The rules of Dockerfiles: each is a row of rules.yml and a function in rules/."""

from __future__ import annotations

from pathlib import Path

from policies.dockerfile.reader import Dockerfile
from policies.shared.repository import Repository
from policies.shared.rule import Kind


def _subjects(repository: Repository) -> list[Dockerfile]:
    """Return every Dockerfile, and then as Compose builds it: with its arguments and up to its stage."""
    return [each for file in repository.dockerfiles for each in (file, *file.variants)]


KIND = Kind("dockerfile", "dockerfile", _subjects, {Path(__file__).with_name("rules.yml"): None})
