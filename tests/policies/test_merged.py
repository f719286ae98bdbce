"""What runs once a pull request was merged: all checks on the commit of main, then the deployment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKS = "$/.github/workflows/pull-request.yml"
#: The file that a push to main starts, for each answer of deploy_method.
MERGED = {"ssh": "deploy-ssh.yml", "runner": "deploy-runner.yml", "pull": "main.yml"}
RANKS = ("none", "read", "write")


def workflows(repository: Path) -> dict[str, dict[Any, Any]]:
    files = sorted((repository / ".github" / "workflows").glob("*.yml"))
    return {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


@pytest.fixture(params=MERGED)
def merged(request, generate) -> dict[Any, Any]:
    """The workflow of what was merged."""
    return workflows(generate({"deploy_method": request.param}))[MERGED[request.param]]


@pytest.mark.parametrize("method", MERGED)
def test_one_workflow_checks_what_was_merged(generate, method):
    found = workflows(generate({"deploy_method": method}))
    callers = [name for name, each in found.items() if any("uses" in job for job in each["jobs"].values())]
    assert callers == [MERGED[method]]
    assert found[MERGED[method]][True] == {"push": {"branches": ["main"]}}
    assert "push" not in found["pull-request.yml"][True]


def test_every_other_job_waits_for_all_checks_and_is_skipped_when_one_fails(merged):
    assert merged["jobs"].pop("checks")["uses"] == CHECKS
    for job in merged["jobs"].values():
        assert job["needs"] == "checks"
        # A condition with a function such as always() would run the job whatever became of the checks.
        assert "if" not in job


def test_no_check_is_left_out_on_main_but_the_edge_s_plan(generate):
    jobs = workflows(generate())["pull-request.yml"]["jobs"]
    assert {name for name, job in jobs.items() if "if" in job} == {"edge"}


def test_the_checks_get_every_right_that_one_of_them_asks_for(generate, merged):
    called = workflows(generate())["pull-request.yml"]
    given = merged["jobs"]["checks"]["permissions"]
    for job in called["jobs"].values():
        for name, right in job.get("permissions", called["permissions"]).items():
            assert RANKS.index(given.get(name, "none")) >= RANKS.index(right), name


def test_the_called_workflow_waits_for_no_group_that_its_caller_holds(generate, merged):
    group = workflows(generate())["pull-request.yml"]["concurrency"]["group"]
    # In a called workflow these are the caller's.
    group = group.replace("${{ github.workflow }}", merged["name"])
    assert group.replace("${{ github.ref }}", "refs/heads/main") != merged["concurrency"]["group"]


def test_before_a_host_is_named_a_deployment_is_green_and_says_why_it_did_nothing(generate):
    steps = workflows(generate())["deploy-ssh.yml"]["jobs"]["deploy"]["steps"]
    ran = [step for step in steps if "run" in step and "!vars.DEPLOY_HOST" in step.get("if", "")]
    others = [step for step in steps if "run" in step and step not in ran]
    assert [step["name"] for step in others] == ["Deploy", "Verify"]
    assert all("vars.DEPLOY_HOST" in step["if"] for step in others)
    (step,) = ran
    environment = {**os.environ, **step["env"], "GITHUB_ACTIONS": "true"}
    said = subprocess.run(
        ["bash", "-ec", step["run"]],
        cwd=generate(),
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"::notice::{step['env']['NOTICE']}\n" and "DEPLOY_HOST" in said.stdout


def test_no_merge_s_plan_is_dropped_while_another_is_applied(generate):
    group = workflows(generate())["terraform.yml"]["concurrency"]
    assert group["queue"] == "max" and group["cancel-in-progress"] is False
