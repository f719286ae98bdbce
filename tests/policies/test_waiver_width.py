"""A waiver is as narrow as it reads: waiving one breach leaves every other one standing."""

import pytest
from cases import fixtures
from conftest import TEMPLATE

from policies.gate.loading import load
from policies.gate.waivers import place_of
from policies.readers import Repository

LOADED = load()
POLICY = (TEMPLATE / "{{cookiecutter.project_slug}}/policy.yml").read_text(encoding="utf-8")
#: Kinds whose findings name one setting each.
NARROW = ("MAIL_GHA",)
FAILING = [each for each in fixtures() if each.rule.startswith(NARROW) and len(each.expected) > 1]


@pytest.mark.parametrize("fixture", FAILING, ids=str)
def test_one_waiver_leaves_the_other_breaches(fixture):
    repository = Repository(fixture.folder, {"policy.yml": POLICY})
    found = list(LOADED.rules[fixture.rule].findings(repository))
    settings = {(place_of(each), each.place) for each in found}
    assert len({place for place, _ in settings}) == len(settings)
