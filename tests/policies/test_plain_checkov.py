"""The rules are checkov custom checks: plain checkov loads the pack and comes to the same verdicts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TEMPLATE

from policies.gate.loading import load
from policies.shared.repository import Repository

LOADED = load()
FAMILIES = ("compose", "dockerfile", "terraform", "workflows")
FRAMEWORKS = ("yaml", "dockerfile", "terraform", "github_actions")
FILES = {
    "docker-compose.yml": """
services:
  web:
    image: nginx:${TAG:-latest}
    extends: {file: base/common.yml, service: base}
""",
    "base/common.yml": """
services:
  base:
    privileged: true
""",
    "app/Dockerfile": "ARG BASE=python:latest\nFROM ${BASE}\nUSER root\n",
    "terraform/main.tf": """
resource "aws_s3_bucket" "backup" {
  bucket = "acme-backup"
}

resource "aws_iam_policy" "backup" {
  name = "backup"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = join(":", ["s3", "*"]), Resource = "*" }]
  })
}
""",
    ".github/workflows/test.yml": """
on: pull_request_target
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v5
""",
}


def checkov(root: Path) -> list[dict]:
    """The failed checks of ours in a run of the command-line program, without the network."""
    program = Path(sys.executable).with_name("checkov")
    command = [str(program), "-d", ".", "--external-checks-dir", str(TEMPLATE / "policies" / "plain_checkov")]
    command += ["--skip-download", "--quiet", "--compact", "--output", "json", "--check", "MAIL_*"]
    command += [word for each in FRAMEWORKS for word in ("--framework", each)]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(TEMPLATE), "HCL_PARSE_TIMEOUT_SEC": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "Cannot load external check" not in done.stderr + done.stdout, done.stderr
    reports = json.loads(done.stdout)
    return [
        failed
        for report in (reports if isinstance(reports, list) else [reports])
        for failed in report.get("results", {}).get("failed_checks", [])
    ]


@pytest.fixture(scope="module")
def weak(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("weak")
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n"))
    return root


@pytest.fixture(scope="module")
def failed_there(weak):
    """What one run over it says."""
    return checkov(weak)


def test_plain_checkov_finds_what_the_gate_finds(weak, failed_there):
    failed = {each["check_id"] for each in failed_there}
    repository = Repository(weak)
    ours = {
        rule.rule_id for rule in LOADED.values() if rule.family in FAMILIES and any(rule.findings(repository))
    }
    # What belongs to no service, resource or file is the gate's alone: checkov asks about such things only.
    assert {"MAIL_CMP_001", "MAIL_CMP_007", "MAIL_DKR_001", "MAIL_TF_001", "MAIL_GHA_007"} <= failed
    assert failed <= ours
    assert len(failed) >= 0.8 * len(ours), sorted(ours - failed)


def test_plain_checkov_shows_the_line(failed_there):
    lines = {(each["check_id"], each["file_path"], each["file_line_range"][0]) for each in failed_there}
    assert ("MAIL_CMP_001", "/docker-compose.yml", 3) in lines
    assert ("MAIL_DKR_001", "/app/Dockerfile", 2) in lines


def test_plain_checkov_is_content_with_a_generated_repository(generate):
    assert [f"{each['check_id']} {each['file_path']}" for each in checkov(generate())] == []
