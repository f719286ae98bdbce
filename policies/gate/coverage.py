"""What the gate must have looked at: silence about a file is never a pass."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection

from policies.gate import hidden
from policies.model import Place
from policies.shared.repository import Repository
from policies.terraform import reader as terraform

#: What a complete repository has at least one of; a gate that finds none has looked in the wrong place.
KINDS = {
    "compose": ("a Compose file, docker-compose.yml", lambda repository: repository.compose),
    "dockerfile": ("a Dockerfile", lambda repository: repository.dockerfiles),
    "terraform": ("a folder with .tf files", lambda repository: repository.modules),
    "workflows": ("a workflow, .github/workflows/", lambda repository: repository.workflows),
    "config": ("config/", lambda repository: repository.matching("config/*")),
}


def look(repository: Repository, families: Collection[str]) -> None:
    """Note everything that was not looked at although it counts."""
    for kind, (words, have) in KINDS.items():
        if kind in families and not have(repository):
            what = f"there is not one file of the kind {kind}: {words}"
            fix = "run the gate in the repository's root, or name the kinds to check with --families"
            repository.problem("nothing-to-look-at", Place("."), what, fix)
    hidden.look(repository)
    if "config" in families:
        _everything_parses(repository)
        unknown_files(repository)


def unknown_files(repository: Repository) -> None:
    """Note the files below config/ that nobody knows how to read."""
    for file in repository.matching("config/*"):
        if file not in repository.configuration.kinds:
            what = "nothing here knows this kind of configuration file"
            fix = "say in policy.yml what it is: text, which no rule judges, or another kind of files.yml"
            row = repository.policy.row("files", file, value="text")
            repository.problem("not-looked-at", Place(file), what, fix, row)


def _everything_parses(repository: Repository) -> None:
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
                fix = f"write it as valid {suffix[1:].upper()}"
                repository.problem("unreadable", Place(file, line), str(error), fix)
