"""checkov's own checks, in this process and without the network."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from policies.gate import cache
from policies.gate.info import Info
from policies.model import Finding, Place, Problem, Severity
from policies.shared.repository import Repository
from policies.shared.tables import table

#: checkov's frameworks that the gate runs, and the kind of files of each, as --families names it.
FRAMEWORKS = {"dockerfile": "dockerfile", "github_actions": "actions", "terraform": "terraform"}
#: How checkov begins the name of a check that states what should be.
DEMANDS = re.compile(r"(?:Ensure|Make sure|Verify)\s+(?:that\s+)?(?=\S)")
OURS = "MAIL_*"


class Complaints(logging.Handler):
    """Keeps what checkov only logs: a check that raised, a file that it could not read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def skipped() -> dict[str, set[str]]:
    """Return the ids that are left out of each framework; policies/data/checkov.yml has the reasons."""
    return {framework: set(table("checkov")[framework]) for framework in FRAMEWORKS}


def skipped_because(name: str) -> str:
    """Return why the gate leaves a check of checkov out; nothing if it does not."""
    return next(
        (str(table("checkov")[each][name]) for each in FRAMEWORKS if name in table("checkov")[each]), ""
    )


def demand(name: str) -> str:
    """Return what a check of checkov wants; some names say what is wrong instead, and stay as they are."""
    return DEMANDS.sub("", name, count=1)


def mend(name: str, entity: str = "it") -> str:
    """Return how to follow a check of checkov; its name is all that it says about that."""
    wanted = demand(name)
    so_that = f"so that {wanted}" if wanted != name else f"until checkov no longer says: {name}"
    return f"Change {entity} {so_that}"


def _runner(framework: str) -> Any:
    if framework == "dockerfile":
        from checkov.dockerfile.runner import Runner
    elif framework == "github_actions":
        from checkov.github_actions.runner import Runner
    else:
        from checkov.terraform.runner import Runner
    return Runner()


def _files(repository: Repository, framework: str) -> list[str]:
    if framework == "dockerfile":
        return [each.file for each in repository.dockerfiles]
    if framework == "github_actions":
        return [each.file for each in repository.workflows if not each.is_action]
    return [file for module in repository.modules for file in module.files]


def _report(repository: Repository, framework: str, leave_out: set[str]) -> Iterator[Any]:
    from checkov.runner_filter import RunnerFilter

    wanted = RunnerFilter(
        framework=[framework],
        skip_checks=[OURS, *sorted(leave_out)],
        show_progress_bar=False,
        download_external_modules=False,
    )
    root = str(repository.root)
    arguments: dict[str, Any] = {"root_folder": root}
    if framework != "terraform":
        arguments = {
            "root_folder": None,
            "files": [str(repository.root / file) for file in _files(repository, framework)],
        }
    reports = _runner(framework).run(external_checks_dir=None, runner_filter=wanted, **arguments)
    yield from reports if isinstance(reports, list) else [reports]


@dataclass
class Said:
    """What checkov finds, what it could not do, and what is known about each of its checks that spoke."""

    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    infos: dict[str, Info] = field(default_factory=dict)
    frameworks: list[str] = field(default_factory=list)

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
                self.infos[finding.rule] = _info(record, framework)


def _said(repository: Repository, framework: str, leave_out: dict[str, set[str]]) -> Said:
    said = Said()
    for report in _report(repository, framework, leave_out[framework]):
        said.take(repository, framework, report)
    return said


def run(repository: Repository, frameworks: tuple[str, ...]) -> Said:
    """Run checkov's own checks of these frameworks."""
    os.environ.setdefault("BC_SKIP_MAPPING", "TRUE")
    heard, said, leave_out = Complaints(), Said(), skipped()
    logging.getLogger().addHandler(heard)
    try:
        for framework in frameworks:
            if files := _files(repository, framework):
                said.frameworks.append(framework)
                inputs = (part for file in files for part in (file, repository.text(file)))
                one = cache.remembered(framework, inputs, partial(_said, repository, framework, leave_out))
                said.findings += one.findings
                said.problems += one.problems
                said.infos |= one.infos
    finally:
        logging.getLogger().removeHandler(heard)
    left_out = sum(len(leave_out[framework]) for framework in frameworks)
    said.notes.append(f"{left_out} of checkov's own checks are left out: policies/data/checkov.yml says why")
    fix = "update checkov, or leave the check out with a reason in policies/data/checkov.yml"
    for message in heard.messages:
        if message.startswith("Failed to run check"):
            place = Place("policies/requirements.txt")
            said.problems.append(Problem("policy-raised", place, message, fix))
    return said


def _finding(repository: Repository, record: Any) -> Finding:
    path = record.file_abs_path or record.file_path
    file = repository.relative(Path(path))
    line = max(record.file_line_range[0] if record.file_line_range else 1, 1)
    entity = str(record.resource).rpartition("/")[2]
    return Finding(
        record.check_id,
        Severity.MEDIUM,
        Place(file, line),
        f"{entity} fails a check of checkov",
        demand(record.check_name),
        mend(record.check_name, entity),
        entity,
    )


def _info(record: Any, framework: str) -> Info:
    about = f"A check that comes with checkov ({framework})."
    link, judges = record.guideline or "", FRAMEWORKS[framework]
    name, fix = record.check_name, mend(record.check_name)
    return Info(record.check_id, name, Severity.MEDIUM, "checkov", about, fix, link=link, judges=judges)
