"""Every answer that touches Terraform, in all pairs, gives a module that is valid, well formed and plans."""

from collections.abc import Iterator, Mapping
from itertools import combinations, product
from typing import Any

import pytest
from conftest import MakeWorkspace
from equipment.cloud import Cloud
from equipment.template import ANSWERS, questions

VALUES: Mapping[str, list[Any]] = {
    "aws_region": ["ap-northeast-1", "us-east-1", "eu-central-1"],
    "object_lock_days": [30, 1, 36500],
    "backup_bucket": ["example-com-mail-backup", "a" * 63],
    "state_bucket": ["example-com-mail-tfstate", "abc"],
    "monthly_budget_usd": [10, 1000000],
    "project_slug": ["a", f"{'s' * 39}-{'t' * 23}"],
    "admin_email": ["admin@example.com", "a+b@sub.example.co.uk"],
    "deploy_method": questions()["deploy_method"],
    "github_environments": [True, False],
}

Choice = tuple[str, Any]


def pairs(answers: Mapping[str, Any]) -> set[frozenset[Choice]]:
    return {frozenset(pair) for pair in combinations(answers.items(), 2)}


def all_pairs() -> Iterator[dict[str, Any]]:
    """Few sets of answers in which every two values of different questions meet."""
    questions = list(VALUES)
    missing = set()
    for one, other in combinations(questions, 2):
        missing |= {frozenset({(one, a), (other, b)}) for a, b in product(VALUES[one], VALUES[other])}
    while missing:
        answers = dict(sorted(min(missing, key=lambda pair: sorted(map(str, pair)))))
        for question in questions:
            if question not in answers:
                answers[question] = max(
                    VALUES[question],
                    key=lambda value: len(pairs({**answers, question: value}) & missing),
                )
        missing -= pairs(answers)
        yield answers


COMBINATIONS = list(all_pairs())


@pytest.mark.parametrize(
    "answers", COMBINATIONS, ids=lambda each: "-".join(str(v)[:6] for v in each.values())
)
def test_every_pair_of_answers_is_valid_and_plans_to_what_was_answered(
    answers: dict[str, Any], cloud: Cloud, workspace: MakeWorkspace
) -> None:
    module = workspace(answers=answers, local=True)
    module.run("fmt", "-check", "-recursive")
    module.run("validate")
    assert module.plan().code == 2
    plan = module.run("show", "-json", "tfplan").json()
    planned = {each["address"]: each["values"] for each in plan["planned_values"]["root_module"]["resources"]}
    bucket, alarm = planned["aws_s3_bucket.backup"], planned["aws_cloudwatch_metric_alarm.cost"]
    lock = planned["aws_s3_bucket_object_lock_configuration.backup"]["rule"][0]["default_retention"][0]
    assert (bucket["bucket"], bucket["region"]) == (answers["backup_bucket"], answers["aws_region"])
    assert (lock["mode"], lock["days"]) == ("COMPLIANCE", answers["object_lock_days"])
    assert alarm["threshold"] == float(answers["monthly_budget_usd"])
    assert planned["aws_sns_topic_subscription.cost"]["endpoint"] == answers["admin_email"]
    backend = (module.folder / "provider.tf").read_text()
    assert f'bucket       = "{answers["state_bucket"]}"' in backend
    environment = (module.folder / "variables.tf").read_text().partition('variable "github_environment"')[2]
    trusted = '"aws"' if answers["github_environments"] else "null"
    assert environment.partition("default")[2].split()[1] == trusted


def test_all_pairs_really_meet() -> None:
    met = set().union(*(pairs(answers) for answers in COMBINATIONS))
    for one, other in combinations(VALUES, 2):
        for a, b in product(VALUES[one], VALUES[other]):
            assert frozenset({(one, a), (other, b)}) in met


def test_the_answers_that_the_tests_use_are_questions_of_the_template() -> None:
    assert set(ANSWERS) <= set(questions())
