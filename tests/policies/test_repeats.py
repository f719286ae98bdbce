"""One mistake is one finding, and a general check still speaks where ours is silent."""

from __future__ import annotations

import re

import pytest

from policies.gate.info import OTHERS
from policies.gate.loading import load
from policies.gate.own_checks import skipped
from policies.gate.repeats import without_repeats
from policies.model import Finding, Place, Severity
from policies.shared.tables import table

AUDITS = table("repeats")["audits"]
GENERAL = table("repeats")["checkov"] | table("repeats")["schemas"]
ROWS = [(theirs, ours) for theirs, rules in GENERAL.items() for ours in rules]

FILE = "terraform/s3-backup/main.tf"


def finding(rule: str, file: str = FILE, entity: str = "") -> Finding:
    return Finding(rule, Severity.HIGH, Place(file), "what", "should", "fix", entity)


def rules(*findings: Finding) -> list[str]:
    return [each.rule for each in without_repeats(list(findings))]


@pytest.mark.parametrize(("theirs", "ours"), ROWS, ids=str)
def test_a_row_names_a_rule_of_ours_and_a_check_that_runs(theirs, ours):
    assert ours in load().rules
    assert theirs in OTHERS or re.fullmatch(r"CKV2?_[A-Z]+_\d+", theirs)
    assert not any(theirs in left_out for left_out in skipped().values())


@pytest.mark.parametrize("checker", AUDITS)
def test_the_audits_of_a_checker_are_folded_into_rules_of_ours(checker):
    assert checker in OTHERS
    assert {rule for rules in AUDITS[checker].values() for rule in rules} <= set(load().rules)


def test_a_general_check_is_folded_into_the_rule_that_says_the_same():
    assert rules(finding("CKV_AWS_21"), finding("MAIL_TF_003")) == ["MAIL_TF_003"]


def test_a_general_check_speaks_where_the_rule_is_silent():
    assert rules(finding("CKV_AWS_21")) == ["CKV_AWS_21"]


def test_a_general_check_speaks_about_another_folder():
    other = finding("CKV_AWS_21", "terraform/state-bootstrap/main.tf")
    assert rules(other, finding("MAIL_TF_003")) == ["CKV_AWS_21", "MAIL_TF_003"]


def test_a_schema_is_folded_for_the_same_variable_only():
    lacking = finding("MAIL_REP_004", "docker-compose.yml", "HDD_PATH")
    same = finding("SCHEMA_ENVIRONMENT", ".env.example", "HDD_PATH")
    other = finding("SCHEMA_ENVIRONMENT", ".env.example", "TZ")
    assert rules(lacking, same, other) == ["MAIL_REP_004", "SCHEMA_ENVIRONMENT"]


def test_an_audit_of_zizmor_is_folded_for_the_same_file_only():
    ours = finding("MAIL_GHA_001", ".github/workflows/a.yml")
    same = finding("ZIZMOR", ".github/workflows/a.yml", "unpinned-uses")
    other = finding("ZIZMOR", ".github/workflows/b.yml", "unpinned-uses")
    assert [str(each.place) for each in without_repeats([ours, same, other])] == [
        ".github/workflows/a.yml:1",
        ".github/workflows/b.yml:1",
    ]
