"""What the gate must have looked at: silence about a file is never a pass."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

import yaml

from policies.gate import hidden
from policies.model import Place
from policies.shared.repository import Repository
from policies.terraform import reader as terraform

KINDS = Path(__file__).parent.parent / "data" / "kinds.yml"


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
            except (ValueError, RecursionError) as error:
                line = getattr(error, "lineno", 1) or 1
                what = "nested too deeply" if isinstance(error, RecursionError) else str(error)
                fix = f"write it as valid {suffix[1:].upper()}"
                repository.problem("unreadable", Place(file, line), what, fix)


def links(repository: Repository) -> None:
    """Note files that the gate would not see although they count."""
    hidden.look(repository)


def unread(repository: Repository) -> None:
    """Note configuration files that no parser knows."""
    for file in repository.matching("config/*"):
        if file not in repository.configuration.kinds:
            fix = f"say what it is below files: in policy.yml, such as {file}: text"
            repository.problem(
                "not-looked-at", Place(file), "nothing here knows this kind of configuration file", fix
            )
