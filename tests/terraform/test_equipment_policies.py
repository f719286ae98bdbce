"""The policy evaluator decides known cases as AWS documents them."""

from typing import Any

import pytest
from equipment.policies import Decision, Document, PolicyError, Request, decide
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("s3:GetObject", True),
        ("S3:getobject", True),
        ("s3:Get*", True),
        ("s3:Get?bject", True),
        ("*", True),
        ("s3:GetObjectVersion", False),
        ("s3:Get?", False),
        ("s3:Get[O]bject", False),
    ],
)
def test_actions_know_two_wildcards_and_no_case(pattern: str, matches: bool) -> None:
    assert (decide(READ, [document(Action=pattern)]) is Decision.ALLOWED) is matches


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("arn:aws:s3:::bucket/*", True),
        ("arn:aws:s3:::*", True),
        ("arn:aws:s3:::bucket", False),
        ("arn:aws:s3:::BUCKET/*", False),
        ("arn:aws:s3:::bucket/folder", False),
    ],
)
def test_resources_are_matched_whole_and_with_case(pattern: str, matches: bool) -> None:
    assert (decide(READ, [document(Resource=["arn:x", pattern])]) is Decision.ALLOWED) is matches


def test_not_action_and_not_resource_mean_everything_else() -> None:
    assert decide(READ, [without("Action", NotAction="s3:PutObject")]) is Decision.ALLOWED
    assert decide(READ, [without("Action", NotAction=["s3:Get*"])]) is Decision.NOT_ALLOWED
    assert decide(READ, [without("Resource", NotResource="arn:aws:s3:::other/*")]) is Decision.ALLOWED
    assert decide(READ, [without("Resource", NotResource="*")]) is Decision.NOT_ALLOWED


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"Bool": {"k": "false"}}, {"k": "False"}, True),
        ({"Bool": {"k": "false"}}, {"k": "true"}, False),
        ({"Bool": {"k": "false"}}, {}, False),
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"k": "a"}}, {"K": "a"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
        ({"StringNotEquals": {"k": "a"}}, {"k": "a"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringLike": {"k": "a/*"}}, {"k": "a/b"}, True),
        ({"StringLike": {"k": "a/*"}}, {"k": "b/a/"}, False),
        ({"StringLike": {"k": "a/*"}}, {}, False),
        ({"NumericLessThan": {"k": "10"}}, {"k": "9"}, True),
        ({"NumericLessThan": {"k": "10"}}, {"k": "10"}, False),
        ({"NumericLessThan": {"k": "10"}}, {}, False),
        ({"NumericLessThan": {"k": "1.2"}}, {"k": "1.1"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "true"}}, {"k": "x"}, False),
        ({"Null": {"k": "false"}}, {"k": "x"}, True),
        ({"ArnEquals": {"k": "arn:aws:sns:*:1:t"}}, {"k": "arn:aws:sns:x:1:t"}, True),
        ({"Bool": {"k": "true"}, "StringEquals": {"j": "a"}}, {"k": "true", "j": "b"}, False),
        ({"StringEquals": {"k": "a", "j": "a"}}, {"k": "a"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], holds: bool) -> None:
    request = Request("s3:GetObject", OBJECT, context)
    assert (decide(request, [document(Condition=condition)]) is Decision.ALLOWED) is holds


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


ACTIONS = st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:*", "s3:Get*", "*"])
DOCUMENTS = st.lists(
    st.builds(lambda e, a: document(e, Action=a), st.sampled_from(["Allow", "Deny"]), ACTIONS)
)


@given(DOCUMENTS, DOCUMENTS)
def test_one_more_document_never_turns_a_deny_into_anything_else(
    given_: list[Document], more: list[Document]
) -> None:
    if decide(READ, given_) is Decision.DENIED:
        assert decide(READ, given_ + more) is Decision.DENIED


@given(DOCUMENTS, DOCUMENTS)
def test_the_order_of_documents_does_not_matter(one: list[Document], other: list[Document]) -> None:
    assert decide(READ, one + other) is decide(READ, other + one)
