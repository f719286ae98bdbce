"""Every rule has repositories that pass and that fail, and finds exactly the places they name."""

import pytest
from cases import FOLDER, fixtures
from conftest import TEMPLATE

from policies.gate.loading import load
from policies.readers import Repository

LOADED = load()
FIXTURES = fixtures()
#: Rules that are rows of a table: their examples and their mutations take the place of fixtures.
ROWS = {name for name, file in LOADED.files.items() if file.suffix == ".yml"}
#: What the template decides counts for a fixture without a policy.yml of its own.
POLICY = (TEMPLATE / "{{cookiecutter.project_slug}}/policy.yml").read_text(encoding="utf-8")


def test_every_rule_loads():
    assert [str(problem.place) + " " + problem.what for problem in LOADED.problems] == []


@pytest.mark.parametrize("rule", sorted(LOADED.rules.keys() - ROWS))
@pytest.mark.parametrize("kind", ["pass", "fail"])
def test_every_rule_has_a_fixture_that_passes_and_one_that_fails(rule, kind):
    assert [each for each in FIXTURES if each.rule == rule and each.name.startswith(f"{kind}_")]


def test_every_fixture_belongs_to_a_rule():
    assert {folder.name for folder in FOLDER.iterdir()} <= set(LOADED.rules)


@pytest.mark.parametrize("fixture", FIXTURES, ids=str)
def test_the_rule_finds_exactly_the_places_that_the_fixture_names(fixture):
    own = (fixture.folder / "policy.yml").exists()
    repository = Repository(fixture.folder, {} if own else {"policy.yml": POLICY})
    found = sorted({str(each.place) for each in LOADED.rules[fixture.rule].findings(repository)})
    assert found == sorted(fixture.expected)
    assert bool(found) == fixture.name.startswith("fail_"), "a fixture is called pass_… or fail_…"
    assert [problem.what for problem in repository.problems] == [], "a fixture can be read"
