"""docker compose and Terraform."""

from __future__ import annotations

import json
import os
import re
from fnmatch import fnmatch

from policies.gate.tools.base import Outcome, Settings, Tool, execute, program
from policies.model import Finding, Place
from policies.sources.compose import EXAMPLES, sets_of_files
from policies.sources.interpolation import REQUIRED, env_file
from policies.sources.repository import Repository

#: Given to required variables that the example leaves empty; fits addresses and names alike.
STAND_IN = "127.0.0.1"


class ComposeConfig(Tool):
    """`docker compose config` over every project, with the example's values."""

    rule = "SYNTAX_COMPOSE"
    title = "docker compose config"

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is a project in the root folder."""
        return any("/" not in files[0] for files in sets_of_files(repository))

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Ask Compose about each project, with the values of .env, or of the example where there is none."""
        command = program("docker")
        if not command or execute([command, "compose", "version"], repository.root).returncode:
            return Outcome(absent="docker compose is not installed")
        example = next((name for name in EXAMPLES if repository.has(name)), "")
        projects = [files for files in sets_of_files(repository) if "/" not in files[0]]
        said = [(files, self._ask(repository, command, files, example)) for files in projects]
        return Outcome(findings=[self._refused(files, error) for files, error in said if error])

    def _ask(self, repository: Repository, command: str, files: tuple[str, ...], example: str) -> str:
        """Return why Compose refuses a project; nothing if it takes it."""
        values = env_file(repository.text(example)) if example else {}
        needed = {name for file in files for name in REQUIRED.findall(repository.text(file))}
        stand_ins = {name: STAND_IN for name in needed if not values.get(name, ("",))[0]}
        arguments = [part for file in files for part in ("--file", file)]
        arguments += ["--env-file", example] if example else []
        environment = {**os.environ, **stand_ins, "COMPOSE_DISABLE_ENV_FILE": "1"}
        done = execute([command, "compose", *arguments, "config", "--quiet"], repository.root, environment)
        return (done.stderr.strip() or "it refuses the project") if done.returncode else ""

    def _refused(self, files: tuple[str, ...], error: str) -> Finding:
        line = re.search(r"line (\d+)", error)
        place = Place(files[-1], int(line[1]) if line else 1)
        return self.finding(place, error.splitlines()[-1], entity=" + ".join(files))


class Terraform(Tool):
    """`terraform fmt -check`, and `terraform validate` where the providers are installed."""

    rule = "SYNTAX_TERRAFORM"
    title = "terraform"

    def needed(self, repository: Repository) -> bool:
        """Tell whether there is Terraform."""
        return bool(repository.modules)

    def run(self, repository: Repository, settings: Settings) -> Outcome:
        """Ask Terraform about each folder."""
        command = program("terraform") or program("tofu")
        if not command:
            return Outcome(absent="neither terraform nor tofu is installed")
        outcome = Outcome()
        done = execute([command, "fmt", "-check", "-recursive", "-list=true", "."], repository.root)
        for file in done.stdout.splitlines():
            if fnmatch(file, "*.tf*"):
                outcome.findings.append(
                    self.finding(Place(file.strip()), "terraform fmt would change it", "run terraform fmt")
                )
        for module in repository.modules:
            folder = repository.root / module.folder
            if not (folder / ".terraform").is_dir():
                outcome.absent = (
                    f"terraform validate: run terraform -chdir={module.folder} init -backend=false first"
                )
                continue
            said = execute([command, f"-chdir={folder}", "validate", "-json"], repository.root)
            try:
                diagnostics = json.loads(said.stdout).get("diagnostics", [])
            except ValueError:
                return self.broken(said.stderr.strip() or "no answer")
            for each in diagnostics:
                at = each.get("range") or {}
                place = Place(
                    f"{module.folder}/{at['filename']}" if at else module.place.file,
                    at.get("start", {}).get("line", 1),
                )
                outcome.findings.append(
                    self.finding(place, each["summary"], each.get("detail", "").split("\n")[0])
                )
        return outcome
