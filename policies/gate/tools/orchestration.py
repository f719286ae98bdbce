"""docker compose and Terraform."""

from __future__ import annotations

import json
import os
import re
from fnmatch import fnmatch

from policies.gate.tools.base import Outcome, Settings, Tool, execute, program
from policies.model import Place
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
        """Ask Compose about each project."""
        command = program("docker")
        if not command or execute([command, "compose", "version"], repository.root).returncode:
            return Outcome(absent="docker compose is not installed")
        outcome = Outcome()
        example = next((name for name in EXAMPLES if name in repository.files), None)
        values = (
            {name: value for name, (value, _) in env_file(repository.text(example)).items()}
            if example
            else {}
        )
        for files in sets_of_files(repository):
            if "/" in files[0]:
                continue
            needed = {name for file in files for name in REQUIRED.findall(repository.text(file))}
            env = {
                **os.environ,
                **{name: STAND_IN for name in needed if not values.get(name)},
                "COMPOSE_DISABLE_ENV_FILE": "1",
            }
            arguments = [part for file in files for part in ("--file", file)]
            arguments += ["--env-file", example] if example else []
            done = execute([command, "compose", *arguments, "config", "--quiet"], repository.root, env)
            if done.returncode:
                message = (
                    done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it refuses the project"
                )
                line = re.search(r"line (\d+)", message)
                outcome.findings.append(
                    self.finding(
                        Place(files[-1], int(line[1]) if line else 1), message, entity=" + ".join(files)
                    )
                )
        return outcome


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
