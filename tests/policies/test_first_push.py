"""What runs at GitHub from the first push of a fresh repository on, and that only a mistake makes it red.

That the steps themselves pass in a fresh clone is tried by tests/workflows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.policies.conditions import jobs, runs

PUSH = {
    "github.event_name": "push",
    "github.ref": "refs/heads/main",
    "github.repository": "acme/mail",
    "github.event.repository.visibility": "private",
}
AFTER = {
    **PUSH,
    "github.event_name": "workflow_run",
    "github.event.workflow_run.conclusion": "success",
    "github.event.workflow_run.event": "push",
    "github.event.workflow_run.head_branch": "main",
}
MONTHLY = {**PUSH, "github.event_name": "schedule"}
CHECKS = {"gate", "terraform", "stack"}
SSH, PULL = {"deploy_method": "ssh"}, {"deploy_method": "pull"}
HOST = {"vars.DEPLOY_HOST": "root@host.example"}
HASTEN = {"vars.HASTEN_URL": "https://mail-api.example.com"}


def ran(repository: Path, file: str, values: dict[str, Any], broken: tuple[str, ...] = ()) -> set[str]:
    return {name for name, how, _ in jobs(repository, file, values, broken) if how != "skipped"}


#: Answers, file, what GitHub says of the run and of the repository's settings, and the jobs that then run.
TABLE = {
    "first push, checks": (PULL, "main.yml", PUSH, CHECKS),
    "first push over ssh, checks": (SSH, "main.yml", PUSH, CHECKS),
    "first push, terraform": (PULL, "terraform.yml", PUSH, set()),
    "first push, nobody to hasten": (PULL, "hasten.yml", AFTER, set()),
    "first push over ssh, deployment says why not": (SSH, "deploy.yml", AFTER, {"deploy"}),
    "first month": (PULL, "monthly.yml", MONTHLY, {"pins", "holes"}),
    "first month over ssh": (SSH, "monthly.yml", MONTHLY, {"pins", "holes"}),
    "month over ssh": (SSH, "monthly.yml", MONTHLY | HOST, {"pins", "holes", "host"}),
    "month of a host that once was reached": (PULL, "monthly.yml", MONTHLY | HOST, {"pins", "holes"}),
    "a branch of what is checked": (
        PULL,
        "main.yml",
        PUSH | {"vars.CHECKED_BRANCH": "checked"},
        CHECKS | {"checked"},
    ),
    "a host to hasten": (PULL, "hasten.yml", AFTER | HASTEN, {"hasten"}),
    "terraform's plan and apply": (
        PULL,
        "terraform.yml",
        PUSH | {"vars.AWS_PLAN_ROLE": "arn"},
        {"plan", "apply"},
    ),
}


@pytest.mark.parametrize(("answers", "file", "values", "wanted"), TABLE.values(), ids=TABLE)
def test_these_jobs_run_and_no_other(generate, answers, file, values, wanted):
    assert ran(generate(answers), file, values) == wanted


NOT_MERGED = {
    "of a run that failed": {"github.event.workflow_run.conclusion": "failure"},
    "of a run that was cancelled": {"github.event.workflow_run.conclusion": "cancelled"},
    "of a pull request": {"github.event.workflow_run.event": "pull_request"},
    "of another branch": {"github.event.workflow_run.head_branch": "feature"},
}


@pytest.mark.parametrize(("answers", "file"), [(SSH, "deploy.yml"), (PULL, "hasten.yml")])
@pytest.mark.parametrize("what", NOT_MERGED.values(), ids=NOT_MERGED)
def test_what_is_not_merged_and_checked_reaches_no_host_and_is_not_red(generate, answers, file, what):
    values = AFTER | HOST | HASTEN | what
    assert [how for _, how, _ in jobs(generate(answers), file, values)] == ["skipped"]


@pytest.mark.parametrize("broken", sorted(CHECKS))
def test_a_check_that_fails_leaves_the_branch_where_it_is(generate, broken):
    values = PUSH | {"vars.CHECKED_BRANCH": "checked"}
    assert "checked" not in ran(generate(), "main.yml", values, (broken,))


FIRST = [(answers, file, values) for name, (answers, file, values, _) in TABLE.items() if "first" in name]


@pytest.mark.parametrize("visibility", ["private", "public"])
@pytest.mark.parametrize(("answers", "file", "values"), FIRST)
def test_no_step_of_the_first_runs_asks_for_what_nobody_has_set_yet(
    generate, answers, file, values, visibility
):
    values = values | {"github.event.repository.visibility": visibility}
    for _, how, job in jobs(generate(answers), file, values):
        for step in job["steps"] if how != "skipped" else ():
            if runs(step.get("if"), values):
                given = json.dumps([step.get("env"), step.get("with")])
                given = given.replace("secrets.PULL_REQUEST_TOKEN || github.token", "github.token")
                assert "secrets." not in given and "vars." not in given, step["name"]


def test_a_private_repository_without_code_scanning_uploads_no_findings(generate):
    (gate,) = (job for name, _, job in jobs(generate(), "main.yml", PUSH) if name == "gate")
    ran = {step["name"] for step in gate["steps"] if runs(step.get("if"), PUSH)}
    assert "Why there are no code scanning alerts" in ran and "Findings as code scanning alerts" not in ran


@pytest.mark.parametrize("method", ["ssh", "pull"])
def test_without_environments_no_workflow_names_one(generate, method):
    answers = {"deploy_method": method, "github_environments": False}
    for file in sorted((generate(answers) / ".github/workflows").glob("*.yml")):
        assert "environment:" not in file.read_text(encoding="utf-8"), file.name


def test_with_environments_every_job_with_credentials_names_one(generate):
    named = {
        name: job["environment"]
        for file in ("deploy.yml", "terraform.yml", "monthly.yml")
        for name, _, job in jobs(generate(SSH), file, {})
        if "environment" in job
    }
    assert named == {"deploy": "production", "host": "production", "apply": "aws"}
