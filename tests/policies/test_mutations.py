"""Each single mutation of a generated repository is caught by the rule it names and by no other."""

import pytest
from mutations import mutated, read

from policies.gate.loading import load
from policies.gate.run import Report, run_rules
from policies.sources.repository import Repository

LOADED = load()
MUTATIONS = read("mutations")
HARMLESS = read("harmless")


def judged(repository):
    """Return what all rules say, as rule → places, and what stopped the gate."""
    report = Report()
    run_rules(repository, LOADED.rules.values(), LOADED, report)
    found = {}
    for finding in report.findings:
        found.setdefault(finding.rule, set()).add(str(finding.place))
    return found, [problem.what for problem in report.problems + repository.problems]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_mutation_is_caught_by_exactly_its_rule(generate, mutation):
    found, problems = judged(mutated(generate(mutation.answers), mutation))
    assert list(found) == [mutation.rule]
    assert problems == []


@pytest.mark.parametrize("mutation", HARMLESS, ids=str)
def test_a_harmless_change_raises_nothing(generate, mutation):
    assert judged(mutated(generate(mutation.answers), mutation)) == ({}, [])


def test_the_generated_repository_is_clean(generate):
    assert judged(Repository(generate())) == ({}, [])


def test_no_two_mutations_have_one_name():
    names = [mutation.id for mutation in MUTATIONS + HARMLESS]
    assert len(names) == len(set(names))
