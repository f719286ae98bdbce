"""`make help` of the generated repository: what an operator needs first comes first, CI's targets last."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.generation.test_documents import TEMPLATE

GENERATED = TEMPLATE / "{{cookiecutter.project_slug}}"
GROUPS = [
    "To set the server up",
    "Every day",
    "When something is wrong",
    "To change this repository",
    "For CI",
]


def listed() -> dict[str, list[str]]:
    """Return the targets of each group, in the order in which the terminal shows them."""
    done = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=GENERATED, check=True, capture_output=True, text=True
    )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"  ([a-z-]+) ", line):
            found[[*found][-1]].append(match[1])
        elif line:
            found[line.removesuffix(":")] = []
    return found


def test_the_groups_come_in_the_order_in_which_an_operator_needs_them():
    assert [*listed()] == GROUPS
    assert all(listed().values())


def test_each_target_that_says_what_it_does_is_listed_once():
    makefile = "".join(path.read_text() for path in (GENERATED / "platform/make").glob("*.mk"))
    told = re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE)
    shown = [target for targets in listed().values() for target in targets]
    assert sorted(shown) == sorted(told)
    targets = {*re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE)}
    assert targets - {*told} <= {"gate-is-ours"}, "each target says what it does"


def test_targets_of_the_operator_s_own_come_first(repositories, tmp_path):
    root = shutil.copytree(repositories["defaults"], tmp_path / "repository")
    with (root / "Makefile").open("a") as makefile:
        makefile.write("\nnote: ## A note of mine\n\t@echo noted\n")
    said = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=root, check=True, capture_output=True, text=True
    ).stdout
    assert re.match(r"Your own:\n  note +A note of mine\n\nTo set the server up:\n", said)


def test_what_no_document_tells_a_person_to_run_comes_last():
    """Other than the targets that a document names, those of the workflows are for CI alone."""
    workflows = "".join(path.read_text() for path in (GENERATED / ".github/workflows").glob("*.yml"))
    documents = "".join(path.read_text() for path in (GENERATED / "_docs/en").rglob("*.md"))
    run, told = ({*re.findall(r"\bmake ([a-z][a-z-]+)", text)} for text in (workflows, documents))
    groups = listed()
    shown = {target for targets in groups.values() for target in targets}
    for_ci = (run - told) & shown
    assert {"check-report", "comment", "edge-report"} <= for_ci
    assert for_ci <= {*groups["For CI"]}
