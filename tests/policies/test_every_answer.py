"""Whatever is answered, the generated repository passes the whole gate."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from judging import LOADED, WHOLE

from policies.gate.check import Options, judge
from tools import answers, covering

QUESTIONS = answers.questions()
#: Each question with a fixed set of answers.
CHOICES = {
    question: [True, False] if isinstance(default, bool) else default
    for question, default in QUESTIONS.items()
    if isinstance(default, bool | list)
}
#: Each answer alone and each pair of answers; all combinations of choices in `make soak`.
COMBINATIONS = (
    [dict(zip(CHOICES, values, strict=True)) for values in product(*CHOICES.values())]
    if WHOLE
    else list(covering.combinations().values())
)
#: Answers at the edges of what is allowed, and those that could trip a rule that looks at names and numbers.
#: Rules look at one answer each, or at two that belong together: several edges make one repository.
EDGES = (
    {
        "object_lock_days": 1,
        "monthly_budget_usd": 1,
        "aws_region": "us-east-1",
        "project_name": "例え Mail (2)",
        "project_slug": "a",
        "mail_domain": "xn--r8jz45g.jp",
        "admin_email": "ada@acme.org",
        "timezone": "America/Argentina/ComodRivadavia",
    },
    {
        "object_lock_days": 36500,
        "monthly_budget_usd": 1000000,
        "aws_region": "mx-central-1",
        "project_slug": "a" * 63,
        "mail_domain": "mail.internal.acme.co.jp",
        "admin_email": "ada@acme.org",
        "ssd_path": "/srv/" + "long/" * 30 + "ssd",
    },
    {
        "project_slug": "secret-password-token",
        "backup_bucket": "0" * 63,
        "state_bucket": "1" * 63,
        "admin_email": "first.last+alarms@ops.acme.org",
    },
    {"project_slug": "latest"},
)
LABELS = st.from_regex(r"[a-z][a-z0-9]{0,14}", fullmatch=True)
TEXTS = st.fixed_dictionaries(
    {
        "project_slug": st.from_regex(r"[a-z]([a-z0-9]|-[a-z0-9]){0,20}", fullmatch=True),
        "mail_domain": st.lists(LABELS, min_size=2, max_size=4).map(".".join),
        "admin_email": st.just("ada@acme.org"),
        "object_lock_days": st.integers(1, 36500),
        "monthly_budget_usd": st.integers(1, 1000000),
        "timezone": st.sampled_from(["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York"]),
        "ssd_path": st.lists(LABELS, min_size=2, max_size=4).map(lambda parts: "/srv/" + "/".join(parts)),
        **{question: st.sampled_from(choices) for question, choices in CHOICES.items()},
    }
)


def named(given: dict[str, object]) -> str:
    return ",".join(f"{question}={str(value)[:20]}" for question, value in given.items())


def judged(root):
    """Return everything that the gate says."""
    report = judge(root, Options(), LOADED, tools=False).report
    findings = [f"{each.rule} {each.place} {each.what}" for each in report.findings]
    return findings + [f"{each.kind} {each.place} {each.what}" for each in report.problems]


@pytest.mark.parametrize("given", COMBINATIONS, ids=named)
def test_every_combination_of_choices_passes_clean(generate, given):
    assert judged(generate(given)) == []


@pytest.mark.parametrize("given", EDGES, ids=named)
def test_an_answer_at_the_edge_passes_clean(generate, given):
    assert answers.problems(given) == []
    assert judged(generate(given)) == []


@settings(
    max_examples=40 if WHOLE else 5,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(given=TEXTS)
def test_any_good_answers_pass_clean(generate, given):
    assume(not answers.problems(given))
    assert judged(generate(given)) == []
