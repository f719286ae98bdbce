"""IAM policies inside Terraform, statement by statement, however they were written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from policies.model import Place
from policies.shared.located import List, Map, sequence, where
from policies.terraform.blocks import Block, Module
from policies.terraform.tables import table
from policies.terraform.values import Json, Partial, Unknown, located_json

#: Attributes that hold a policy, of whatever resource.
ATTRIBUTES = ("policy", "assume_role_policy", "access_policy", "resource_policy")
#: Their policy is about something else.
OTHERS = ("aws_ecr_lifecycle_policy", "aws_dlm_lifecycle_policy", "aws_appautoscaling_policy")
KEYS = table("tables")["statement"]
#: An unknown piece in JSON that was written as text.
PIECE = re.compile(r"^\$\{(?P<name>[^{}]*)\}$")
#: What is known by name only is one thing: aws_s3_bucket.backup.arn.
ONE = re.compile(r"^(?:[\w-]+\.)*aws_[\w-]+\.[\w-]+(?:\[[^*\]]*\])?\.(?:arn|id|unique_id|account_id)$")
#: Unknown pieces of a text that name one thing: of a resource, of this account, or made at random.
NAMED = re.compile(
    r"^(?:aws_|random_|data\.aws_(?:caller_identity|partition|region)\.|self\.|each\.|count\.)"
)
#: Actions that change nothing.
READS = re.compile(r"^[\w-]+:(?:Get|List|Describe|Head)")
REFERENCE = re.compile(r"\$\{(?P<name>[^}]{0,500})\}")


def is_open(value: Any) -> bool:
    """Tell whether a value is not wholly known."""
    return isinstance(value, (Unknown, Partial))


def is_named(value: Any, block: Block) -> bool:
    """Tell whether a value names a policy, role, user or group: by a reference, its ARN or its name."""
    text = re.sub(r"\[[^\]]*\]", "", str(value))
    if text in ("${" + f"{block.address}.{name}" + "}" for name in ("arn", "id", "name")):
        return True
    name, path = block.value("name"), block.value("path", "/")
    return (
        isinstance(name, str) and isinstance(path, str) and (text == name or text.endswith(f"{path}{name}"))
    )


def reaches(resource: Any, target: Block, end: str = "") -> bool:
    """Tell whether a resource of a statement is a bucket or topic, by its ARN or by a reference to it."""
    text = re.sub(r"\[[^\]]*\]", "", str(resource))
    if text == "*" or text == "${" + target.address + ".arn}" + end:
        return True
    name = str(target.value("bucket" if target.labels[0] == "aws_s3_bucket" else "name"))
    bucket = target.labels[0] == "aws_s3_bucket"
    # The partition, the region and the account may be unknown; the name after the last colon may not.
    return text.startswith("arn:") and text.endswith(f":::{name}{end}" if bucket else f":{name}{end}")


def is_vague(value: Any) -> bool:
    """Tell whether nobody can say which one thing a value names."""
    if isinstance(value, Unknown):
        return not ONE.match(value.text)
    return isinstance(value, Partial) and not all(NAMED.match(name) for name in REFERENCE.findall(value))


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
                if isinstance(names, List):
                    yield from ((kind, name, place) for name, place in zip(names, names.places, strict=True))
                    continue
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
    for block in module.blocks:
        kind = block.labels[0] if block.type == "resource" and len(block.labels) > 1 else ""
        if not kind.startswith("aws_") or kind in OTHERS:
            continue
        for name in ATTRIBUTES:
            if block.value(name) is not None:
                yield block, block, name
        for inner in block.inner("inline_policy"):
            yield block, inner, "policy"


def _opened(value: Any) -> Any:
    """Return JSON with the unknown pieces in its texts as what they are."""
    if isinstance(value, dict):
        for key in value:
            value[key] = _opened(value[key])
    elif isinstance(value, list):
        value[:] = [_opened(each) for each in value]
    elif isinstance(value, str) and "${" in value:
        piece = PIECE.match(value)
        return Unknown(piece["name"]) if piece else Partial(value)
    return value


def _document(value: Any, place: Place) -> Any:
    if isinstance(value, Json):
        return value.value
    if isinstance(value, str):
        try:
            made = located_json(json.loads(value), place)
        except (ValueError, RecursionError):
            return None
        return _opened(made) if isinstance(value, Partial) else made
    return None


def _statement(owner: Block, data: Any, place: Place) -> Statement | Unread:
    if not isinstance(data, Map):
        return Unread(owner, place, f"a statement is {data}")
    strange = [str(key) for key in data if key not in KEYS]
    if strange:
        return Unread(
            owner, where(data, strange[0]), f"a statement has {strange[0]}, which means nothing there"
        )
    return Statement(owner, data, data.place)


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
            yield _statement(owner, each, where(document, "Statement", number))


def proposed(module: Module, block: Block) -> bool:
    """Tell whether a policy is of a role that whoever opens a pull request may assume."""
    trusts = (each for each in statements(module) if each.allows and each.block.labels[0] == "aws_iam_role")
    open_to_them = (each for each in trusts if ":pull_request" in str(each.data.get("Condition")))
    return any(block.names("role", each.block) for each in open_to_them)


def statements(module: Module) -> Iterator[Statement]:
    """Yield the statements alone; the rule about actions reports what cannot be read."""
    for each in policies(module):
        if isinstance(each, Statement):
            yield each
