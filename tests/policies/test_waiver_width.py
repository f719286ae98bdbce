"""A waiver is as narrow as it reads: for every rule, waiving one breach leaves a second one standing.

The breaches are those of the mutations, two edits at once, or of a failing fixture with several places.
"""

import datetime
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import pytest
from cases import fixtures
from conftest import TEMPLATE
from judging import EVERYTHING, Watched
from mutations import in_memory, read

from policies.gate.run import Report
from policies.gate.waivers import Waiver, apply, place_of
from policies.model import Place
from policies.readers import Repository

POLICY = (TEMPLATE / "{{cookiecutter.project_slug}}/policy.yml").read_text(encoding="utf-8")
TODAY = datetime.date(2027, 1, 15)
#: What breaks a rule twice whose mutations are all of one setting, or that has none.
LOCK = """resource "aws_s3_bucket_object_lock_configuration" "{0}" {{
  bucket = aws_s3_bucket.{0}.id
  rule {{
    default_retention {{
      mode = "COMPLIANCE"
      days = 1
    }}
  }}
}}
resource "aws_s3_bucket" "{0}" {{
  bucket              = "{0}"
  object_lock_enabled = true
}}
"""
BUCKETS = 'variable "object_lock_days" {\n  default = 30\n}\n' + LOCK.format("one") + LOCK.format("two")
SERVICES = "services: {{nginx: {{{0}}}, postfix: {{{0}}}}}\n"
TWICE = {
    "MAIL_CMP_009": {
        "compose.yml": SERVICES.format("volumes: ['/var/run/docker.sock:/var/run/docker.sock']")
    },
    "MAIL_CMP_023": {"compose.yml": SERVICES.format("deploy: {mode: global}")},
    "MAIL_CMP_025": {"compose.yml": SERVICES.format("runtime: nvidia")},
    "MAIL_TF_002": {"main.tf": BUCKETS},
    "MAIL_TF_006": {"main.tf": BUCKETS},
    "SCHEMA_ANSWERS": {
        ".cruft.json": '{"context": {"cookiecutter": {"relay": "sesame", "antivirus": "maybe"}}}'
    },
    "SCHEMA_COMPOSE": {"compose.yml": SERVICES.format("imagee: one")},
    "SCHEMA_EDGE": {"edge/edge.yml": "colour: red\nshape: round\n"},
    "SCHEMA_NODES": {"nodes.yml": "colour: red\nshape: round\n"},
    "SCHEMA_ENVIRONMENT": {".env.example": "COLOUR=red\nSHAPE=round\n"},
}
#: What has no breach that could be waived, and why.
NONE = {"SCHEMA_POLICY": "a policy.yml that is not as its schema says stops the gate"}


def of(rule):
    """Return the mutations that a rule catches, of one repository: the default one, if it has these files."""
    found = sorted(
        (each for each in read("mutations") if each.rule == rule), key=lambda each: len(each.answers)
    )
    return [each for each in found if each.answers == found[0].answers]


MUTATIONS = {rule: of(rule) for rule in EVERYTHING}


def said(rule, repository):
    """Return the findings of one rule."""
    report = Report()
    EVERYTHING[rule](repository, report)
    return report.findings


def several(rule, base, empty):
    """Yield what a rule says of what may break it more than once: a fixture, two mutations, one of them."""

    def judged(mutation):
        return said(rule, Watched(base.root, *in_memory(base.root, mutation), base))

    if rule in TWICE:
        yield said(rule, Repository(empty, {**TWICE[rule], "policy.yml": POLICY}))
    for fixture in fixtures():
        if fixture.rule == rule and len(fixture.expected) > 1:
            own = (fixture.folder / "policy.yml").exists()
            yield said(rule, Repository(fixture.folder, {} if own else {"policy.yml": POLICY}))
    for one, other in combinations(MUTATIONS[rule], 2):
        # The second edit may find nothing of what the first one left.
        with suppress(AssertionError):
            yield judged(replace(one, edits=one.edits + other.edits))
    for each in MUTATIONS[rule]:
        yield judged(each)


@pytest.mark.parametrize("rule", sorted(EVERYTHING.keys() - NONE.keys()))
def test_a_waiver_of_one_breach_leaves_another_standing(judge, tmp_path, rule):
    answers = MUTATIONS[rule][0].answers if MUTATIONS[rule] else {}
    breaches = several(rule, judge(answers).base, tmp_path)
    found = next(each for each in breaches if len({*map(place_of, each)}) > 1)
    place = place_of(found[0])
    waiver = Waiver(rule, place, "A reason of some length.", "admin", TODAY, Place("policy.yml"))
    report = Report(findings=found)
    apply(report, [waiver], EVERYTHING, [rule], TODAY)
    assert {*map(place_of, report.waived)} == {place}
    assert report.findings and place not in {*map(place_of, report.findings)}
