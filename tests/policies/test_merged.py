"""What runs once a pull request was merged: all checks on the commit of main, then the deployment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

CHECKS = "$/.github/workflows/pull-request.yml"
RANKS = ("none", "read", "write")


def workflows(repository: Path) -> dict[str, dict[Any, Any]]:
    files = sorted((repository / ".github" / "workflows").glob("*.yml"))
    return {file.name: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


@pytest.fixture
def merged(generate) -> dict[Any, Any]:
    """The workflow of what was merged."""
    return workflows(generate())["main.yml"]


@pytest.mark.parametrize("method", ["pull", "ssh"])
def test_one_workflow_checks_what_was_merged(generate, method):
    found = workflows(generate({"deploy_method": method}))
    callers = [name for name, each in found.items() if any("uses" in job for job in each["jobs"].values())]
    assert callers == ["main.yml"]
    assert found["main.yml"][True] == {"push": {"branches": ["main"]}}
    assert "push" not in found["pull-request.yml"][True]


@pytest.mark.parametrize(("method", "file"), [("ssh", "deploy.yml"), ("pull", "hasten.yml")])
def test_one_workflow_follows_it_by_its_name_and_has_the_commit_that_was_checked(generate, method, file):
    found = workflows(generate({"deploy_method": method}))
    followers = {
        name: each[True]["workflow_run"] for name, each in found.items() if "workflow_run" in each[True]
    }
    wanted = {"workflows": [found["main.yml"]["name"]], "types": ["completed"], "branches": ["main"]}
    assert followers == {file: wanted}
    commits = {
        step["env"]["REF"]
        for job in found[file]["jobs"].values()
        for step in job["steps"]
        if "REF" in step.get("env", {})
    }
    assert commits == ({"${{ github.event.workflow_run.head_sha }}"} if method == "ssh" else set())


def test_every_other_job_waits_for_all_checks_and_only_one_may_write(merged):
    assert merged["jobs"].pop("checks")["uses"] == CHECKS
    assert {name: job["needs"] for name, job in merged["jobs"].items()} == {"checked": "checks"}
    assert merged["permissions"] == {"contents": "read"}
    assert merged["jobs"]["checked"]["permissions"] == {"contents": "write"}


def test_a_deployment_that_is_skipped_cancels_none_that_waits(generate):
    deploy = workflows(generate({"deploy_method": "ssh"}))["deploy.yml"]
    # The group of a workflow is entered before its jobs' conditions are looked at.
    assert "concurrency" not in deploy
    group = {"group": "production", "cancel-in-progress": False}
    assert deploy["jobs"]["deploy"]["concurrency"] == group


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
    steps = workflows(generate({"deploy_method": "ssh"}))["deploy.yml"]["jobs"]["deploy"]["steps"]
    ran = [step for step in steps if "run" in step and "!vars.DEPLOY_HOST" in step.get("if", "")]
    others = [step for step in steps if "run" in step and step not in ran]
    assert [step["name"] for step in others] == ["Deploy", "Verify"]
    assert all("vars.DEPLOY_HOST" in step["if"] for step in others)
    (step,) = ran
    # The make that runs these tests would have the step's make say which folders it enters.
    ours = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    environment = {**ours, **step["env"], "GITHUB_ACTIONS": "true"}
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
