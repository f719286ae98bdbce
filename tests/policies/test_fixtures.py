"""Every rule has repositories that pass and that fail, and finds exactly the places they name."""

import pytest
from cases import FOLDER, fixtures
from conftest import TEMPLATE

from policies.gate.loading import POLICIES, load
from policies.readers import Repository

LOADED = load()
FIXTURES = fixtures()
#: Rules that need code; of those that are rows of a table, examples and mutations take the place of fixtures.
CODE = {"_".join(path.stem.split("_")[:3]).upper() for path in POLICIES.glob("*/rules/mail_*.py")}
#: What the template decides counts for a fixture without a policy.yml of its own.
POLICY = (TEMPLATE / "{{cookiecutter.project_slug}}/policy.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", sorted(CODE))
@pytest.mark.parametrize("kind", ["pass", "fail"])
def test_every_rule_has_a_fixture_that_passes_and_one_that_fails(rule, kind):
    assert [each for each in FIXTURES if each.rule == rule and each.name.startswith(f"{kind}_")]


def test_every_fixture_belongs_to_a_rule():
    assert {folder.name for folder in FOLDER.iterdir()} <= set(LOADED)


@pytest.mark.parametrize("fixture", FIXTURES, ids=str)
def test_the_rule_finds_exactly_the_places_that_the_fixture_names(fixture):
    own = (fixture.folder / "policy.yml").exists()
    repository = Repository(fixture.folder, {} if own else {"policy.yml": POLICY})
    found = sorted({str(each.place) for each in LOADED[fixture.rule].findings(repository)})
    assert found == sorted(fixture.expected)
    assert bool(found) == fixture.name.startswith("fail_"), "a fixture is called pass_… or fail_…"
    assert [problem.what for problem in repository.problems] == [], "a fixture can be read"
