"""checkov's own Terraform checks: none fails, and each one that is skipped has its reason in one place.

checkov lives in an environment of its own (requirements/checkov.txt); CHECKOV names its command.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MakeWorkspace
from equipment.cloud import Cloud
from equipment.template import ROOT, TEMPLATE

SETTINGS = TEMPLATE / "checkov.yaml"
# Everything that is made only on request, so that it is checked too.
ALL_ON = (
    'github_repository = "example/mailserver"\ncreate_lock_table = true\nstate_lock_table = "state-lock"\n'
)
REASONS = ROOT / "policies" / "gate" / "checkov.yml"


def checkov(*arguments: str, folder: Path) -> dict[str, Any]:
    """The report of a run without access to the network."""
    command = shutil.which(os.environ.get("CHECKOV", "checkov"))
    assert command, "set CHECKOV to the command of the environment made from requirements/checkov.txt"
    done = subprocess.run(
        [command, "--skip-download", "--output", "json", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "HCL_PARSE_TIMEOUT_SEC": "0"},
        timeout=600,
        check=False,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0
    return report


def failed(report: dict[str, Any]) -> list[str]:
    return [f"{each['check_id']} {each['resource']}" for each in report["results"]["failed_checks"]]


@pytest.fixture(scope="module")
def sources(workspace: MakeWorkspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run over the sources, without any skip."""
    root = workspace().folder.parent.parent
    variables = tmp_path_factory.mktemp("checkov") / "all-on.tfvars"
    variables.write_text(ALL_ON)
    return checkov(
        "--framework", "terraform", "--directory", "terraform", "--var-file", str(variables), folder=root
    )


@pytest.fixture(scope="module")
def plan(cloud: Cloud, workspace: MakeWorkspace) -> dict[str, Any]:
    """A run over a plan, in which every policy is written out, without any skip."""
    module = workspace(local=True)
    module.plan("-var=github_repository=example/mailserver", "-var=state_lock_table=terraform-state-lock")
    (module.folder / "tfplan.json").write_text(module.run("show", "-json", "tfplan").stdout)
    return checkov("--framework", "terraform_plan", "--file", "tfplan.json", folder=module.folder)


def skipped() -> set[str]:
    """The checks for whose absence a reason is given; what a rule of ours says is not among them."""
    reasons = yaml.safe_load(REASONS.read_text())["terraform"]
    reasons = {
        name: reason for name, reason in reasons.items() if not re.fullmatch(r"MAIL_\w+ says it\.", reason)
    }
    assert all(len(reason) > 30 for reason in reasons.values())
    return set(reasons)


def test_no_check_of_the_sources_fails_without_a_reason(sources: dict[str, Any]) -> None:
    assert [each for each in failed(sources) if each.split()[0] not in skipped()] == []
    assert sources["summary"]["passed"] > 60


def test_no_check_of_the_plan_fails_without_a_reason(plan: dict[str, Any]) -> None:
    assert [each for each in failed(plan) if each.split()[0] not in skipped()] == []
    assert plan["summary"]["passed"] > 40


def test_every_skipped_check_would_fail_and_has_its_reason(
    sources: dict[str, Any], plan: dict[str, Any]
) -> None:
    assert {each.split()[0] for each in failed(sources) + failed(plan)} == skipped()
    assert set(yaml.safe_load(SETTINGS.read_text())["skip-check"]) == skipped()


def test_nothing_is_skipped_anywhere_else() -> None:
    for file in TEMPLATE.rglob("*"):
        if file.is_file() and file != SETTINGS:
            assert "checkov:skip" not in file.read_text(), file


def test_the_settings_that_the_generated_repository_uses_pass(workspace: MakeWorkspace) -> None:
    root = workspace().folder.parent.parent
    report = checkov("--config-file", "terraform/checkov.yaml", folder=root)
    assert failed(report) == []
    assert report["summary"]["passed"] > 60
