"""Each single mutation of a generated repository is caught by the rule it names and by no other: neither rule
nor schema nor one of checkov's own checks nor the checker of what was changed.
"""

import hashlib
import re
import shutil
import subprocess

import pytest
from mutations import mutate, read

from policies.gate import check, own_checks
from policies.gate.check import Options, judge
from policies.gate.loading import load
from policies.gate.tools.linters import Shellcheck, Zizmor
from policies.gate.tools.orchestration import ComposeConfig

LOADED = load()
MUTATIONS = read("mutations")
HARMLESS = [each for each in read("harmless") if not each.policy]


def git(root, *words):
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def committed(generate, tmp_path_factory):
    """Return a function that gives a generated repository with one commit, as it was generated."""
    made = {}

    def repository(answers):
        key = str(sorted(answers.items()))
        if key not in made:
            made[key] = tmp_path_factory.mktemp("committed") / "repository"
            shutil.copytree(generate(answers), made[key], symlinks=True)
            git(made[key], "init", "-q")
            git(made[key], "add", "--all")
            git(made[key], "commit", "-q", "-m", "first")
        git(made[key], "reset", "-q", "--hard")
        git(made[key], "clean", "-q", "-f", "-f", "-d", "-x")
        return made[key]

    return repository


@pytest.fixture(scope="module", autouse=True)
def checkov_runs_once_for_the_same_files():
    """Let checkov judge a kind of files again only when one of them is another than before."""
    run, known = own_checks._report, {}

    def remembered(repository, framework, leave_out):
        digest = hashlib.sha256(str(repository.root).encode())
        for file in sorted(own_checks._files(repository, framework)):
            digest.update(f"\0{file}\0{repository.text(file)}".encode())
        key = framework, digest.hexdigest()
        if key not in known:
            known[key] = list(run(repository, framework, leave_out))
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_checks, "_report", remembered)
        yield


#: Checkers that need no image, and the files that they look at.
CHECKERS = (
    (Zizmor(), re.compile(r"\.github/")),
    (Shellcheck(), re.compile(r".*(?:\.sh|/bin/[^/]+)$")),
    (ComposeConfig(), re.compile(r"[^/]*compose[^/]*$|\.env")),
)


def judged(root, mutation=None):
    """Return the rules that speak, checkers of the changed files among them, and what stopped the gate."""
    files = [edit["file"] for edit in mutation.edits] if mutation else []
    chosen = tuple(tool for tool, names in CHECKERS if any(names.match(file) for file in files))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(check, "TOOLS", chosen)
        report = judge(root, Options(), LOADED).report
    return sorted({each.rule for each in report.findings}), [each.what for each in report.problems]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_mutation_is_caught_by_exactly_its_rule(committed, mutation):
    root = committed(mutation.answers)
    mutate(root, mutation)
    found, problems = judged(root, mutation)
    assert set(found) - ({"SYNTAX_COMPOSE"} if mutation.refused else set()) == {mutation.rule}
    assert problems == []


@pytest.mark.parametrize("mutation", HARMLESS, ids=str)
def test_a_harmless_change_raises_nothing(committed, mutation):
    root = committed(mutation.answers)
    mutate(root, mutation)
    assert judged(root, mutation) == ([], [])


def test_the_generated_repository_is_clean(committed):
    assert judged(committed({})) == ([], [])


def test_no_two_mutations_have_one_name():
    names = [mutation.id for mutation in MUTATIONS + HARMLESS]
    assert len(names) == len(set(names))
