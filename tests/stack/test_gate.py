"""The gate judges a repository in use as it judges a new one: settings, secrets and data are there by now."""

from __future__ import annotations

import shutil

from tests.stack.conftest import TEMPLATE
from tests.stack.stack import run


def test_the_gate_is_content_with_a_repository_whose_stack_runs(stack):
    run("make", "--silent", ".venv-policies/.done", cwd=TEMPLATE)
    root = stack.repository
    run("git", "init", "--quiet", cwd=root)
    try:
        run("git", "add", "--all", cwd=root)
        said = run("make", "--silent", "check", f"GATE={TEMPLATE / '.venv-policies'}", cwd=root)
    finally:
        shutil.rmtree(root / ".git")
    assert said.strip().endswith("0 findings, 0 problems, 0 waived → clean")
