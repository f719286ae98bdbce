"""Every rule has repositories that pass and that fail, and finds exactly the places they name."""

import datetime

import pytest
import rows
from cases import FOLDER, fixtures
from conftest import TEMPLATE

from policies.gate import waivers
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


def judged(fixture, policy):
    """Return a fixture with some policy.yml, and what its rule finds."""
    repository = Repository(fixture.folder, {"policy.yml": policy})
    return repository, list(LOADED[fixture.rule].findings(repository))


def policy_of(fixture):
    own = fixture.folder / "policy.yml"
    return own.read_text(encoding="utf-8") if own.exists() else POLICY


@pytest.mark.parametrize("fixture", FIXTURES, ids=str)
def test_the_rule_finds_exactly_the_places_that_the_fixture_names(fixture):
    repository, findings = judged(fixture, policy_of(fixture))
    found = sorted({str(each.place) for each in findings})
    assert found == sorted(fixture.expected)
    assert bool(found) == fixture.name.startswith("fail_"), "a fixture is called pass_… or fail_…"
    assert [problem.what for problem in repository.problems] == [], "a fixture can be read"


@pytest.mark.parametrize("fixture", [each for each in FIXTURES if each.expected], ids=str)
def test_only_findings_without_a_row_are_left_once_the_rows_are_in_policy_yml(fixture):
    policy = policy_of(fixture)
    _, first = judged(fixture, policy)
    for _ in first:
        _, found = judged(fixture, policy)
        policy = next((rows.pasted(policy, each.row) for each in found if each.row), policy)
    repository, found = judged(fixture, policy)
    assert {each.what for each in found} <= {each.what for each in first if not each.row}
    assert waivers.read(repository, datetime.date.today())[1] == []
