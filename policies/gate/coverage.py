"""What the gate must have looked at: silence about a file is never a pass."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import yaml

from policies.model import Place
from policies.sources import terraform
from policies.sources.repository import Repository

KINDS = Path(__file__).parent.parent / "data" / "kinds.yml"
#: Comments that switch a check off where nobody sees it.
INLINE = re.compile(
    r"(?:checkov|bridgecrew|cortex):\s*skip|zizmor:\s*ignore|tfsec:\s*ignore|trivy:\s*ignore|hadolint\s+ignore",
    re.IGNORECASE,
)
#: Where such words may stand: text for people, and the gate itself.
PROSE = ("*.md", "policies/*", "schemas/*", "*/tests/*", "tests/*")
SWITCHED = (
    "*.yml",
    "*.yaml",
    "*.tf",
    "*.hcl",
    "*.json",
    "*.tfvars",
    "*ockerfile*",
    "*ontainerfile*",
    "*.sh",
    "*.cf",
    "*.conf",
    "*.inc",
)


def must_exist(repository: Repository, families: Iterable[str]) -> None:
    """Note each kind of file of which there is none."""
    have = {
        "compose": lambda: repository.compose,
        "dockerfile": lambda: repository.dockerfiles,
        "terraform": lambda: repository.modules,
        "actions": lambda: repository.workflows,
        "configuration": lambda: repository.matching("config/*"),
    }
    for kind, words in yaml.safe_load(KINDS.read_text(encoding="utf-8")).items():
        if kind in families and not have[kind]():
            fix = "run the gate in the repository's root, or name the kinds to check with --families"
            repository.problem(
                "nothing-to-look-at", Place("."), f"there is not one file of the kind {kind}: {words}", fix
            )


def inline_skips(repository: Repository) -> None:
    """Note each comment that would switch a check off."""
    prose = set(repository.matching(*PROSE))
    for file in repository.matching(*SWITCHED):
        if file in prose:
            continue
        for number, line in enumerate(repository.text(file).splitlines(), 1):
            if INLINE.search(line):
                fix = "remove it; if it must be, write a waiver with reason and end in policies-waivers.yml"
                repository.problem("inline-skip", Place(file, number), "a comment switches a check off", fix)


def everything_parses(repository: Repository) -> None:
    """Read every file of a known syntax that nothing has read yet."""
    for file in repository.matching("*.yml", "*.yaml"):
        if file not in repository.seen:
            repository.yaml(file)
    for file in repository.matching("*.hcl"):
        if file not in repository.seen:
            terraform.parsed(repository, file)
    for suffix, read in ((".json", json.loads), (".toml", tomllib.loads)):
        for file in repository.matching(f"*{suffix}"):
            try:
                read(repository.text(file))
            except ValueError as error:
                line = getattr(error, "lineno", 1) or 1
                repository.problem(
                    "unreadable", Place(file, line), str(error), f"write it as valid {suffix[1:].upper()}"
                )


def links(repository: Repository) -> None:
    """Note links that lead out of the repository: what they show is not what was reviewed."""
    for file in repository.files:
        path = repository.root / file
        if path.is_symlink() and not path.resolve().is_relative_to(repository.root):
            repository.problem(
                "not-looked-at",
                Place(file),
                "a link that leads out of the repository",
                "put the file itself here",
            )


def unread(repository: Repository) -> None:
    """Note configuration files that no parser knows."""
    for file in repository.matching("config/*"):
        if file not in repository.configuration.known:
            fix = "say what it is in policies/data/configuration.yml"
            repository.problem(
                "not-looked-at", Place(file), "nothing here knows this kind of configuration file", fix
            )
