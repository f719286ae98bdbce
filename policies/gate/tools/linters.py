"""Linters that come as wheels with the gate: shellcheck, hadolint and zizmor."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from policies.gate.tools.base import Outcome, Tool
from policies.model import Place
from policies.shared.programs import execute, program
from policies.shared.repository import Repository
from policies.workflows.deployments import follows_main

SHEBANG = re.compile(r"#!\s*\S*/(?:env\s+(?:-\S+\s+)*(?:\w+=\S+\s+)*)?(?:\S*/)?(?:ba|da|k|a)?sh(?:\s|$)")
#: What hadolint says of a Dockerfile that it cannot read, such as one with a here document.
UNREAD = "DL1000"
SUFFIXES = (".sh", ".bash", ".dash", ".ksh")


class Linter(Tool):
    """A program that says in JSON what it finds in some files."""

    options: tuple[str, ...]

    @abstractmethod
    def files(self, repository: Repository) -> list[str]:
        """Return the files to look at."""

    @abstractmethod
    def read(self, said: dict[str, Any]) -> tuple[Place, str, str, str]:
        """Return one thing that it says: where, the code of its rule, what is there, and a page about it."""

    def knows_better(self, repository: Repository, place: Place, code: str) -> bool:
        """Tell whether the file itself answers what it says there."""
        return False

    def needed(self, repository: Repository) -> bool:
        """Tell whether there are such files."""
        return bool(self.files(repository))

    def run(self, repository: Repository, images: Mapping[str, str]) -> Outcome:
        """Run it over all files at once."""
        command = program(self.title)
        if not command:
            return Outcome(absent=f"{self.title} is not installed")
        files = self.files(repository)
        done = execute([command, *self.options, "--", *files], repository.root)
        try:
            said = json.loads(done.stdout)
        except ValueError:
            return self.broken(done.stderr.strip() or "no answer")
        outcome = Outcome()
        for place, code, what, page in map(self.read, said):
            if code == UNREAD:
                outcome.notes.append(f"hadolint cannot read {place.file}")
            elif not self.knows_better(repository, place, code):
                outcome.findings.append(self.finding(place, f"{code}: {what}", f"as {page} shows", code))
        return outcome


class Shellcheck(Linter):
    """shellcheck over every script; a first line or line ends that are wrong are MAIL_REP_006's."""

    rule, title = "SHELLCHECK", "shellcheck"
    options = ("--norc", "--format=json", "--external-sources", "--exclude=SC1017,SC2148")

    def files(self, repository: Repository) -> list[str]:
        """Return the scripts: by their name, or by the interpreter that their first line names."""
        return list(_scripts(repository))

    def read(self, said: dict[str, Any]) -> tuple[Place, str, str, str]:
        """Return one thing that it says."""
        code = f"SC{said['code']}"
        page = f"https://www.shellcheck.net/wiki/{code}"
        return Place(said["file"], said["line"]), code, said["message"].rstrip("."), page


def _scripts(repository: Repository) -> Iterator[str]:
    for file in repository.files:
        if file.lower().endswith(SUFFIXES) or SHEBANG.match(repository.text(file)[:200]):
            yield file


class Hadolint(Linter):
    """hadolint over every Dockerfile; hadolint.yml beside this file has what it is not asked for."""

    rule, title = "HADOLINT", "hadolint"
    options = (
        *("--no-color", "--format=json", "--disable-ignore-pragma"),
        f"--config={Path(__file__).with_name('hadolint.yml')}",
    )

    def files(self, repository: Repository) -> list[str]:
        """Return the Dockerfiles."""
        return [each.file for each in repository.dockerfiles]

    def read(self, said: dict[str, Any]) -> tuple[Place, str, str, str]:
        """Return one thing that it says."""
        code = said["code"]
        wiki = "www.shellcheck.net" if code.startswith("SC") else "github.com/hadolint/hadolint"
        return Place(said["file"], said["line"]), code, said["message"], f"https://{wiki}/wiki/{code}"


class Zizmor(Linter):
    """zizmor over .github, without the network."""

    rule, title = "ZIZMOR", "zizmor"
    options = ("--offline", "--quiet", "--no-exit-codes", "--no-config", "--no-ignores", "--format=json")

    def files(self, repository: Repository) -> list[str]:
        """Return the workflows."""
        return [each.file for each in repository.workflows]

    def knows_better(self, repository: Repository, place: Place, code: str) -> bool:
        """What runs only after the checks of a push to main is a deployment's best start."""
        found = (each for each in repository.workflows if each.file == place.file)
        return code == "dangerous-triggers" and any(map(follows_main, found))

    def read(self, said: dict[str, Any]) -> tuple[Place, str, str, str]:
        """Return one thing that it says."""
        places = said["locations"]
        primary = next((at for at in places if at["symbolic"]["kind"] == "Primary"), places[0])
        file = primary["symbolic"]["key"]["Local"]["verbatim_path"].removeprefix("./")
        line = primary["concrete"]["location"]["start_point"]["row"] + 1
        return Place(file, line), said["ident"], said["desc"], said["url"]
