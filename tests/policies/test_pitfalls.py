"""What others fell into: each has mutations that bring it in, or a reason why no file shows it."""

from pathlib import Path

import mutations
import pytest
import yaml

PITFALLS = yaml.safe_load((Path(__file__).parent / "pitfalls.yml").read_text(encoding="utf-8"))
RULES = {each.id: each.rule for each in mutations.read("mutations")}


@pytest.mark.parametrize("entry", PITFALLS, ids=lambda entry: entry["pitfall"])
def test_a_pitfall_is_a_mutation_that_a_rule_catches_or_says_why_no_file_shows_it(entry):
    brought_in = entry.get("mutations", [])
    assert bool(brought_in) != bool(entry.get("no_file_shows_it"))
    assert {each for each in brought_in if each not in RULES} == set()
    assert all(RULES[each].startswith("MAIL_") for each in brought_in)
