"""checkov's own checks, without the network; what it said about the same files is remembered."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from logging.handlers import BufferingHandler
from pathlib import Path
from typing import Any

from policies.model import Finding, Place, Problem, Severity
from policies.readers import Repository
from policies.shared import cache
from policies.shared.rule import read

#: checkov's frameworks that the gate runs, and the kind of files of each, as --families names it.
FRAMEWORKS = {"dockerfile": "dockerfile", "github_actions": "workflows", "terraform": "terraform"}
#: How checkov begins the name of a check that states what should be.
DEMANDS = re.compile(r"(?:Ensure|Make sure|Verify)\s+(?:that\s+)?(?=\S)")
OURS = "MAIL_*"
#: What is left out of each framework, with the reasons.
SKIPPED: dict[str, dict[str, str]] = read(Path(__file__).with_name("checkov.yml"))
RAISED = "Failed to run check"


def skipped_because(name: str) -> str:
    """Return why the gate leaves a check of checkov out; nothing if it does not."""
    return next((str(each[name]) for each in SKIPPED.values() if name in each), "")


def demand(name: str) -> str:
    """Return what a check of checkov wants; some names say what is wrong instead, and stay as they are."""
    return DEMANDS.sub("", name, count=1)


def how_to_fix(name: str, entity: str = "it") -> str:
    """Return how to follow a check of checkov; its name is all that it says about that."""
    return f"Change {entity} so that checkov no longer asks for it: {demand(name)}"


def _files(repository: Repository, framework: str) -> list[str]:
    if framework == "dockerfile":
        return [each.file for each in repository.dockerfiles]
    if framework == "github_actions":
        return [each.file for each in repository.workflows if not each.is_action]
    return [file for module in repository.modules for file in module.files]


def _reports(repository: Repository, framework: str) -> Iterator[Any]:
    from checkov.common.util.env_vars_config import env_vars_config
    from checkov.runner_filter import RunnerFilter

    # Ten seconds a file otherwise: on a busy machine a sound file is then one that cannot be read.
    env_vars_config.HCL_PARSE_TIMEOUT_SEC = 0
    wanted = RunnerFilter(
        framework=[framework],
        skip_checks=[OURS, *sorted(SKIPPED[framework])],
        show_progress_bar=False,
        download_external_modules=False,
    )
    root, files = str(repository.root), _files(repository, framework)
    arguments: dict[str, Any] = {"root_folder": root}
    if framework != "terraform":
        arguments = {"root_folder": None, "files": [str(repository.root / file) for file in files]}
    runner = import_module(f"checkov.{framework}.runner").Runner()
    reports = runner.run(external_checks_dir=None, runner_filter=wanted, **arguments)
    yield from reports if isinstance(reports, list) else [reports]


@dataclass
class Said:
    """What checkov finds, and what it could not do."""

    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def take(self, repository: Repository, framework: str, report: Any) -> None:
        """Add one of checkov's reports; files that git does not know are not ours."""
        tracked = set(repository.files)
        for file in report.parsing_errors:
            place = Place(repository.relative(Path(file)))
            if place.file in tracked:
                what = f"checkov cannot read it ({framework})"
                self.problems.append(Problem("unreadable", place, what, "write it validly"))
        for record in report.skipped_checks:
            place = Place(repository.relative(Path(record.file_abs_path or record.file_path)))
            if record.check_result.get("suppress_comment") is not None and place.file in tracked:
                what = f"a comment switches {record.check_id} off"
                fix = "remove it; if it must be, write a waiver with reason and end in policy.yml"
                self.problems.append(Problem("inline-skip", place, what, fix))
        for record in report.failed_checks:
            finding = _finding(repository, record)
            if finding.place.file in tracked:
                self.findings.append(finding)

    def complete(self) -> bool:
        """Tell whether every check could do its work."""
        return not any(each.kind == "policy-raised" for each in self.problems)


def _said(repository: Repository, framework: str) -> Said:
    # checkov only logs that a check raised.
    said, heard = Said(), BufferingHandler(sys.maxsize)
    logging.getLogger().addHandler(heard)
    try:
        for report in _reports(repository, framework):
            said.take(repository, framework, report)
    finally:
        logging.getLogger().removeHandler(heard)
    fix = "update checkov, or leave the check out with a reason in policies/gate/checkov.yml"
    place = Place("policies/requirements.txt")
    logged = [record.getMessage() for record in heard.buffer]
    raised = [message for message in logged if message.startswith(RAISED)]
    said.problems += [Problem("policy-raised", place, message, fix) for message in raised]
    return said


def _inputs(repository: Repository, framework: str) -> list[str]:
    files = _files(repository, framework)
    return [part for file in files for part in (file, repository.text(file))]


def run(repository: Repository, frameworks: tuple[str, ...]) -> Said:
    """Run checkov's own checks of these frameworks."""
    os.environ.setdefault("BC_SKIP_MAPPING", "TRUE")
    said = Said()
    for framework in frameworks:
        if inputs := _inputs(repository, framework):
            one = cache.remembered(framework, inputs, partial(_said, repository, framework), Said.complete)
            said.findings += one.findings
            said.problems += one.problems
    return said


def _finding(repository: Repository, record: Any) -> Finding:
    file = repository.relative(Path(record.file_abs_path or record.file_path))
    line = max(record.file_line_range[0] if record.file_line_range else 1, 1)
    entity = str(record.resource).rpartition("/")[2]
    what, should = f"{entity} fails a check of checkov", demand(record.check_name)
    fix = how_to_fix(record.check_name, entity)
    return Finding(record.check_id, Severity.MEDIUM, Place(file, line), what, should, fix, entity)
