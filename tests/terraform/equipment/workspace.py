"""A checkout of a module in which Terraform is run."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equipment.installation import Installation

_FRAME = re.compile(r"^[│╷╵ ]+", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What a run of Terraform said and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def text(self) -> str:
        """Everything that was said, error frames and line breaks removed."""
        return " ".join(_FRAME.sub("", self.stdout + "\n" + self.stderr).split())

    def json(self) -> Any:
        return json.loads(self.stdout)


class TerraformFailed(AssertionError):
    """A run ended with an exit code that the caller did not expect."""


class Workspace:
    """A module's folder, the installation that runs it, and the cloud that it works on."""

    def __init__(self, folder: Path, installation: Installation, endpoint: str) -> None:
        self.folder = folder
        self.command = str(installation.command)
        self.environment = installation.environment(endpoint)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a run and leaves it to the caller, who feeds its stdin."""
        return subprocess.Popen(
            [self.command, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, codes: tuple[int, ...] = (0,), **environment: str) -> Result:
        """Runs Terraform to its end; raises TerraformFailed on an exit code that is not in `codes`."""
        done = subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=900,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        if result.code not in codes:
            raise TerraformFailed(
                f"terraform {' '.join(arguments)}: {result.code}\n{done.stdout}{done.stderr}"
            )
        return result

    def init(self, *arguments: str, **environment: str) -> Result:
        """`terraform init` with the module's own backend."""
        return self.run("init", "-input=false", *arguments, **environment)

    def plan(self, *arguments: str, codes: tuple[int, ...] = (0, 2)) -> Result:
        """`terraform plan -out=tfplan`: exit code 0 without changes, 2 with."""
        return self.run("plan", "-input=false", "-out=tfplan", "-detailed-exitcode", *arguments, codes=codes)

    def refused_plan(self, *arguments: str) -> str:
        """What Terraform says when it does not make a plan."""
        return self.plan(*arguments, codes=(1,)).text

    def apply(self) -> Result:
        """Carries out exactly the plan that `plan` wrote."""
        return self.run("apply", "-input=false", "tfplan")

    def plan_and_apply(self, *arguments: str) -> Result:
        self.plan(*arguments)
        return self.apply()

    def planned_changes(self) -> dict[str, list[str]]:
        """Address and actions of everything that the written plan would change."""
        shown = self.run("show", "-json", "tfplan").json()
        actions = {change["address"]: change["change"]["actions"] for change in shown["resource_changes"]}
        return {address: what for address, what in actions.items() if what not in (["no-op"], ["read"])}

    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in self.run("output", "-json").json().items()}
