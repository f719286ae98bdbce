"""One run of the gate in a test, and git as somebody."""

from __future__ import annotations

import subprocess
from pathlib import Path

from policies.gate.check import Options, check


def run(root: Path, **options):
    """Run the gate without the syntax checkers, which need programs of their own."""
    options.setdefault("only", ("MAIL_REP_001",))
    return check(root, Options(**options)).report


def kinds(report) -> set[str]:
    return {problem.kind for problem in report.problems}


def git(root, *arguments):
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)
