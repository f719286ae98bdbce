"""The policy evaluator decides known cases as AWS documents them."""

from typing import Any

import pytest
from equipment.policies import Decision, Document, PolicyError, Request, decide

OBJECT = "arn:aws:s3:::bucket/folder/file"
READ = Request("s3:GetObject", OBJECT)


def document(effect: str = "Allow", **elements: Any) -> Document:
    return {"Statement": [{"Effect": effect, "Action": "*", "Resource": "*", **elements}]}


def without(element: str, **elements: Any) -> Document:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **elements}
    del statement[element]
    return {"Statement": [statement]}


def test_what_nothing_allows_is_not_allowed() -> None:
    assert decide(READ, []) is Decision.NOT_ALLOWED
    assert decide(READ, [document(Action="s3:PutObject")]) is Decision.NOT_ALLOWED


def test_an_explicit_deny_wins_whatever_the_order() -> None:
    allow, deny = document(), document("Deny", Action="s3:GetObject")
    assert decide(READ, [allow, deny]) is decide(READ, [deny, allow]) is Decision.DENIED


def test_actions_know_two_wildcards_and_no_case() -> None:
    patterns = "s3:GetObject S3:getobject s3:Get* s3:Get?bject * s3:GetObjectVersion s3:Get? s3:Get[O]bject"
    matching = [
        each for each in patterns.split() if decide(READ, [document(Action=each)]) is Decision.ALLOWED
    ]
    assert matching == ["s3:GetObject", "S3:getobject", "s3:Get*", "s3:Get?bject", "*"]


def test_resources_are_matched_whole_and_with_case() -> None:
    names = ("bucket/*", "*", "bucket", "BUCKET/*", "bucket/folder")
    allowed = [decide(READ, [document(Resource=["arn:x", f"arn:aws:s3:::{name}"])]) for name in names]
    assert allowed == [Decision.ALLOWED] * 2 + [Decision.NOT_ALLOWED] * 3


def test_not_action_and_not_resource_mean_everything_else() -> None:
    assert decide(READ, [without("Action", NotAction="s3:PutObject")]) is Decision.ALLOWED
    assert decide(READ, [without("Action", NotAction=["s3:Get*"])]) is Decision.NOT_ALLOWED
    assert decide(READ, [without("Resource", NotResource="arn:aws:s3:::other/*")]) is Decision.ALLOWED
    assert decide(READ, [without("Resource", NotResource="*")]) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("condition", "holding", "failing"),
    [
        ({"Bool": {"k": "false"}}, [{"k": "False"}], [{"k": "true"}, {}]),
        ({"StringEquals": {"k": ["a", "b"]}}, [{"k": "b"}, {"K": "a"}], [{"k": "c"}, {}]),
        ({"StringNotEquals": {"k": ["a", "b"]}}, [{"k": "c"}, {}], [{"k": "a"}, {"k": "b"}]),
        ({"StringLike": {"k": "a/*"}}, [{"k": "a/b"}], [{"k": "b/a/"}, {}]),
        ({"NumericLessThan": {"k": "10"}}, [{"k": "9"}], [{"k": "10"}, {}]),
        ({"NumericLessThan": {"k": "1.2"}}, [{"k": "1.1"}], [{"k": "1.3"}]),
        ({"NumericGreaterThan": {"k": "10"}}, [{"k": "11"}], [{"k": "10"}, {"k": "9"}, {}]),
        ({"Null": {"k": "true"}}, [{}], [{"k": "x"}]),
        ({"Null": {"k": "false"}}, [{"k": "x"}], [{}]),
        ({"Bool": {"k": "true"}, "StringEquals": {"j": "a"}}, [{"k": "true", "j": "a"}], [{"k": "true"}]),
        ({"StringEquals": {"k": "a", "j": "a"}}, [{"k": "a", "j": "a"}], [{"k": "a"}, {"j": "a"}]),
    ],
)
def test_conditions(
    condition: dict[str, Any], holding: list[dict[str, str]], failing: list[dict[str, str]]
) -> None:
    found = [
        decide(Request("s3:GetObject", OBJECT, context), [document(Condition=condition)])
        for context in [*holding, *failing]
    ]
    assert found == [Decision.ALLOWED] * len(holding) + [Decision.NOT_ALLOWED] * len(failing)


def test_a_boundary_limits_and_gives_nothing() -> None:
    reading = document(Action="s3:Get*")
    assert decide(READ, [document()], boundary=reading) is Decision.ALLOWED
    assert decide(READ, [], boundary=reading) is Decision.NOT_ALLOWED
    assert decide(READ, [document()], boundary=document(Action="s3:Put*")) is Decision.NOT_ALLOWED
    assert decide(READ, [document()], boundary=document("Deny")) is Decision.DENIED


def test_a_trust_policy_needs_no_resource() -> None:
    trust = without("Resource", Principal={"AWS": "*"}, Action="sts:AssumeRole")
    assert decide(Request("sts:AssumeRole", ""), [trust]) is Decision.ALLOWED


@pytest.mark.parametrize("elements", [{"Condition": {"IpAddress": {"k": "x"}}}, {"NotPrincipal": "*"}])
def test_what_is_not_understood_is_refused_not_ignored(elements: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        decide(Request("s3:GetObject", OBJECT, {"k": "x"}), [document(**elements)])
