"""IAM policies inside Terraform, statement by statement, however they were written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies.model import Place
from policies.sources.located import Map, sequence, where
from policies.sources.terraform import Block, Module, Partial, Unknown
from policies.sources.terraform_functions import Json, located_json

#: Attributes that hold a policy, by type of resource.
POLICIES = {
    "aws_iam_policy": "policy",
    "aws_iam_role_policy": "policy",
    "aws_iam_user_policy": "policy",
    "aws_iam_group_policy": "policy",
    "aws_s3_bucket_policy": "policy",
    "aws_s3_bucket": "policy",
    "aws_sns_topic": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_sqs_queue_policy": "policy",
    "aws_kms_key": "policy",
    "aws_iam_role": "assume_role_policy",
}


def is_open(value: Any) -> bool:
    """Tell whether a value is not wholly known."""
    return isinstance(value, (Unknown, Partial))


@dataclass(frozen=True)
class Statement:
    """One statement; `data` is what IAM will get, `block` the resource that gives it."""

    block: Block
    data: Map
    place: Place

    @property
    def allows(self) -> bool:
        """Whether it gives rights; an effect that is not known counts as such."""
        return self.data.get("Effect") != "Deny"

    def values(self, key: str) -> list[tuple[Any, Place]]:
        """Return the entries of Action, Resource, … with the place of each; one entry may stand alone."""
        value = self.data.get(key)
        places = getattr(value, "places", None)
        if isinstance(value, list) and isinstance(places, list):
            return list(zip(value, places, strict=True))
        return [(each, where(self.data, key)) for each in ([value] if is_open(value) else sequence(value))]

    def condition(self, test: str, key: str) -> list[Any]:
        """Return what a condition asks for; both names as IAM reads them, in any case."""
        conditions = self.data.get("Condition")
        for name, asked in conditions.items() if isinstance(conditions, dict) else ():
            if name.lower() == test.lower() and isinstance(asked, dict):
                for variable, value in asked.items():
                    if variable.lower() == key.lower():
                        return [value] if is_open(value) else sequence(value)
        return []

    def principals(self) -> Iterator[tuple[str, Any, Place]]:
        """Yield kind, name and place of everybody whom the statement names."""
        who = self.data.get("Principal")
        if isinstance(who, dict):
            for kind, names in who.items():
                for name in [names] if is_open(names) else sequence(names):
                    yield kind, name, where(self.data, "Principal", kind)
        elif who is not None:
            yield "*", who, where(self.data, "Principal")


@dataclass(frozen=True)
class Unread:
    """A policy, or a part of one, of which the files do not say what it is."""

    block: Block
    place: Place
    what: str


def _blocks(module: Module) -> Iterator[tuple[Block, Block, str]]:
    for block in module.resources(*POLICIES):
        if block.has(name := POLICIES[block.labels[0]]):
            yield block, block, name
        for inner in block.inner("inline_policy"):
            yield block, inner, "policy"


def _document(value: Any, place: Place) -> Any:
    if isinstance(value, Json):
        return value.value
    if isinstance(value, str) and not is_open(value):
        try:
            return located_json(json.loads(value), place)
        except ValueError:
            return None
    return None


def policies(module: Module) -> Iterator[Statement | Unread]:
    """Yield every statement of every policy of a module, and what cannot be read."""
    for owner, block, name in _blocks(module):
        place = block.where(name)
        document = _document(block.value(name), place)
        if not isinstance(document, Map):
            yield Unread(owner, place, f"{name} is {block.value(name)}")
            continue
        statements = document.get("Statement")
        if is_open(statements) or statements is None:
            yield Unread(owner, where(document, "Statement"), f"the statements are {statements}")
            continue
        listed = statements if isinstance(statements, list) else [statements]
        for number, each in enumerate(listed):
            if isinstance(each, Map):
                yield Statement(owner, each, each.place)
            else:
                yield Unread(owner, where(document, "Statement", number), f"a statement is {each}")


def statements(module: Module) -> Iterator[Statement]:
    """Yield the statements alone; the rule about actions reports what cannot be read."""
    for each in policies(module):
        if isinstance(each, Statement):
            yield each
