"""Executes the job of a deployment's workflow as GitHub does: a step that failed skips those after it, unless
they ask for more, and makes the job red."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.origin import clone
from tests.deploy.target import Done, Target, call
from tests.stack.stack import eventually
from tests.workflows.runner import TEMPLATE, inherited

WORKFLOWS = TEMPLATE / "{{cookiecutter.project_slug}}" / ".github" / "workflows"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")

Run = Callable[[str, Mapping[str, str]], Done]


@dataclass
class Job:
    """What happened to a job: each step that ran, and whether GitHub shows it in red."""

    steps: dict[str, Done] = field(default_factory=dict)

    @property
    def red(self) -> bool:
        return any(done.code for done in self.steps.values())

    @property
    def said(self) -> str:
        return "\n".join(f"== {name}: exit {done.code}\n{done.said}" for name, done in self.steps.items())


def execute(file: str, values: Mapping[str, str], run: Run) -> Job:
    """Run the `run` steps of a workflow's job `deploy`; `values` stand in for GitHub's expressions."""
    job = yaml.safe_load((WORKFLOWS / file).read_text(encoding="utf-8"))["jobs"]["deploy"]
    result = Job()
    for step in job["steps"]:
        if "run" in step and _runs(step.get("if", ""), bool(values.get("vars.DEPLOY_HOST")), result.red):
            result.steps[step["name"]] = run(step["run"], _environment(step, values))
    return result


def _runs(condition: str, host: bool, red: bool) -> bool:
    """Whether a step runs, under one of the conditions that these workflows have."""
    return {
        "": not red,
        "${{ vars.DEPLOY_HOST }}": host and not red,
        "${{ !vars.DEPLOY_HOST }}": not host and not red,
        "${{ !cancelled() && vars.DEPLOY_HOST }}": host,
    }[condition]


def _environment(step: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: EXPRESSION.sub(lambda found: values[found[1]], value)
        for name, value in step.get("env", {}).items()
    }


def by_ssh(target: Target, commit: str, folder: Path) -> Job:
    """deploy.yml on a fresh runner of GitHub, which has nothing but a checkout and the settings."""
    checkout = clone(target.origin, Path(tempfile.mkdtemp(dir=folder)) / "checkout")
    values = {
        "github.event.workflow_run.head_sha": commit,
        "vars.DEPLOY_HOST": target.address,
        "vars.DEPLOY_KNOWN_HOSTS": target.known_hosts.read_text(),
        "secrets.DEPLOY_SSH_KEY": target.deploy_key.read_text(),
    }
    # No agent, no keys and no known hosts of this machine.
    clean = {"HOME": str(folder), "SSH_AUTH_SOCK": ""}

    def run(script: str, env: Mapping[str, str]) -> Done:
        words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
        return call(words, 1800, {**inherited(), **clean, **env}, checkout)

    return execute("deploy.yml", values, run)


PULL = "mailserver-deploy.service"


def until_idle(target: Target) -> None:
    """Wait until the timer's service is not at work."""
    line = f"systemctl show --property ActiveState {PULL} | grep -q activ.*ing"
    eventually(lambda: target.ssh(line).code, 300)


def by_pull(target: Target) -> Job:
    """The timer's service, started now; what it said is in the journal."""
    # A start of what is under way would only wait for it, and that may have looked before the push.
    until_idle(target)
    line = f"systemctl start {PULL}"
    since = target.shell("date +%s").strip()
    done = target.ssh(line, limit=1800)
    said = target.shell(
        f"journalctl --sync; journalctl --unit mailserver-deploy --since @{since} --output cat --no-pager"
    )
    return Job({"Deploy": Done(done.code, said)})


def start_by_ssh(target: Target, commit: str) -> subprocess.Popen[str]:
    """The same call as over-ssh.sh makes, left running, so that a test can cut the connection."""
    words = target.ssh_words(f"deploy {commit}", target.deploy_key)
    return subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ,
    )
