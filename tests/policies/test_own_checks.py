"""checkov's own checks: what is left out has a reason in one place, and nothing else is left out."""

from __future__ import annotations

import pytest

from policies.gate import check, own_checks
from policies.readers import Repository


def test_the_report_says_how_many_are_left_out_and_where_the_reasons_are(repository):
    report = check.judge(repository, check.Options(families=("dockerfile",)), {}, tools=False).report
    assert report.notes == [
        "5 of checkov's own checks are left out: platform/policies/gate/checkov.yml says why"
    ]


@pytest.mark.parametrize("framework", own_checks.FRAMEWORKS)
def test_every_check_that_is_left_out_has_a_reason(framework):
    reasons = own_checks.SKIPPED[framework]
    assert all(len(reason) > 15 for reason in reasons.values())


def test_a_file_is_readable_however_long_a_busy_machine_takes_to_read_it(repository, monkeypatch):
    def at_once_over(seconds):
        raise TimeoutError(f"{seconds} seconds")

    file = repository / "terraform/s3-backup/main.tf"
    file.write_text(file.read_text(encoding="utf-8") + "# new\n", encoding="utf-8")
    monkeypatch.setattr("checkov.terraform.parser_utils.SignalTimeout", at_once_over)
    assert own_checks.run(Repository(repository), ("terraform",)).problems == []
