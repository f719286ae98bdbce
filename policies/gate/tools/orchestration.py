"""docker compose and Terraform."""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from policies.compose.files import sets_of_files
from policies.gate.tools.base import Outcome, Tool
from policies.model import Finding, Place
from policies.shared.interpolation import EXAMPLES, REQUIRED, env_file
from policies.shared.programs import execute, program
from policies.shared.repository import Repository

#: Given to required variables that the example leaves empty; fits addresses and names alike.
STAND_IN = "127.0.0.1"
#: What terraform fmt takes.
FORMATTED = ("*.tf", "*.tfvars", "*.tftest.hcl")
#: How terraform fmt -check ends where it found something.
UNFORMATTED = 3
#: What terraform validate says of a module whose init has not been run to its end.
WAITING = re.compile(r"Missing required provider|Module not installed|there is no package for|not installed")


class ComposeConfig(Tool):
    """`docker compose config` over every project, with the example's values."""

    rule = "SYNTAX_COMPOSE"
    title = "docker compose config"

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is a project in the root folder."""
        return bool(self._projects(repository))

    def _projects(self, repository: Repository) -> list[tuple[str, ...]]:
        return [files for files in sets_of_files(repository) if "/" not in files[0]]

    def run(self, repository: Repository, images: Mapping[str, str]) -> Outcome:
        """Ask Compose about each project, with the values of .env, or of the example where there is none."""
        command = program("docker")
        if not command or execute([command, "compose", "version"], repository.root).returncode:
            return Outcome(absent="docker compose is not installed")
        example = next((name for name in EXAMPLES if repository.has(name)), "")
        outcome = Outcome()
        for files in self._projects(repository):
            if error := self._ask(repository, command, files, example):
                line = re.search(r"line (\d+)", error)
                place = Place(files[-1], int(line[1]) if line else 1)
                outcome.findings.append(self.finding(place, error.splitlines()[-1], entity=" + ".join(files)))
        return outcome

    def _ask(self, repository: Repository, command: str, files: tuple[str, ...], example: str) -> str:
        """Return why Compose refuses a project; nothing if it takes it."""
        values = env_file(repository.text(example)) if example else {}
        needed = {name for file in files for name in REQUIRED.findall(repository.text(file))}
        stand_ins = {name: STAND_IN for name in needed if not values.get(name, ("",))[0]}
        arguments = [part for file in files for part in ("--file", file)]
        arguments += ["--env-file", example] if example else []
        environment = {**stand_ins, "COMPOSE_DISABLE_ENV_FILE": "1"}
        done = execute([command, "compose", *arguments, "config", "--quiet"], repository.root, environment)
        return (done.stderr.strip() or "it refuses the project") if done.returncode else ""


class Terraform(Tool):
    """`terraform fmt -check`, and `terraform validate` where `terraform init` has been run.

    Init needs the network, which the gate never uses: whoever wants validate runs it before.
    """

    rule = "SYNTAX_TERRAFORM"
    title = "terraform"
    #: No call home, no prompt, no word of advice for people.
    environment: ClassVar = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is Terraform."""
        return bool(repository.modules)

    def run(self, repository: Repository, images: Mapping[str, str]) -> Outcome:
        """Ask Terraform about each file and each folder."""
        command = program("terraform") or program("tofu")
        if not command:
            return Outcome(absent="neither terraform nor tofu is installed")
        outcome = self._formatted(repository, command)
        waiting = []
        for folder in dict.fromkeys(module.folder for module in repository.modules):
            data = Path(repository.root, folder, os.environ.get("TF_DATA_DIR") or ".terraform")
            if not (data.is_dir() and self._validated(repository, command, folder, outcome)):
                waiting.append(folder or ".")
        if waiting:
            init = "terraform -chdir=FOLDER init -backend=false -input=false"
            outcome.partly = True
            outcome.absent = f"validate needs {init} first in {', '.join(waiting)}"
        return outcome

    def _ask(self, repository: Repository, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return execute([command, *arguments], repository.root, self.environment)

    def _formatted(self, repository: Repository, command: str) -> Outcome:
        files = repository.matching(*FORMATTED)
        done = self._ask(repository, command, "fmt", "-check", "-list=true", "-no-color", *files)
        named = [line.strip() for line in done.stdout.splitlines() if line.strip() in files]
        if done.returncode not in (0, UNFORMATTED) or bool(named) != bool(done.returncode):
            return self.broken(f"fmt: {_first(done.stderr)}")
        what, should = "terraform fmt would change it", "as terraform fmt writes it"
        return Outcome(findings=[self.finding(Place(file), what, should) for file in named])

    def _validated(self, repository: Repository, command: str, folder: str, outcome: Outcome) -> bool:
        """Ask about one folder; return false if its init must be run first."""
        done = self._ask(repository, command, f"-chdir={folder or '.'}", "validate", "-json", "-no-color")
        answer = json.loads(done.stdout)
        said = answer["diagnostics"]
        errors = [each for each in said if each["severity"] != "warning"]
        if not bool(errors) == bool(done.returncode) == (not answer["valid"]):
            raise ValueError(f"validate of {folder or '.'} ends with {done.returncode}")
        if any(WAITING.search(each["summary"]) for each in errors):
            return False
        outcome.findings += [self._diagnosed(folder, each) for each in errors]
        warned = [self._diagnosed(folder, each) for each in said if each not in errors]
        outcome.notes += [f"{each.place}: terraform warns: {each.what}" for each in warned]
        return True

    def _diagnosed(self, folder: str, diagnostic: Mapping[str, Any]) -> Finding:
        at = diagnostic.get("range") or {}
        file = posixpath.normpath(posixpath.join(folder, at.get("filename") or "main.tf"))
        place = Place(file, at.get("start", {}).get("line", 1))
        return self.finding(place, diagnostic["summary"], _first(diagnostic.get("detail") or ""), folder)


def _first(text: str) -> str:
    """Return the first line that says something; the frames around Terraform's messages do not."""
    lines = (line.strip("│╷╵ \t") for line in text.splitlines())
    return next((line for line in lines if line), "no answer")
