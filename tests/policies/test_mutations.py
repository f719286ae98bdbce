"""Each single mutation of a generated repository is caught by the rule it names and by no other: neither rule
nor schema nor one of checkov's own checks.
"""

import shutil
import subprocess

import pytest
from mutations import mutate, read

from policies.gate.check import Options, judge
from policies.gate.loading import load

LOADED = load()
MUTATIONS = read("mutations")
HARMLESS = read("harmless")


@pytest.fixture
def commit(generate, tmp_path):
    """Return a function that gives a copy of a generated repository with one commit."""

    def committed(answers):
        copy = tmp_path / "repository"
        shutil.copytree(generate(answers), copy, symlinks=True)
        who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        for words in (("init", "-q"), ("add", "--all"), (*who, "commit", "-q", "-m", "first")):
            subprocess.run(["git", "-C", str(copy), *words], check=True, capture_output=True)
        return copy

    return committed


def judged(root):
    """Return what the gate says without the checkers of others: rules, and what stopped it."""
    report = judge(root, Options(), LOADED, tools=False).report
    return sorted({each.rule for each in report.findings}), [each.what for each in report.problems]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_mutation_is_caught_by_exactly_its_rule(commit, mutation):
    root = commit(mutation.answers)
    mutate(root, mutation)
    assert judged(root) == ([mutation.rule], [])


@pytest.mark.parametrize("mutation", HARMLESS, ids=str)
def test_a_harmless_change_raises_nothing(commit, mutation):
    root = commit(mutation.answers)
    mutate(root, mutation)
    assert judged(root) == ([], [])


def test_the_generated_repository_is_clean(commit):
    assert judged(commit({})) == ([], [])


def test_no_two_mutations_have_one_name():
    names = [mutation.id for mutation in MUTATIONS + HARMLESS]
    assert len(names) == len(set(names))
