"""Terraform modules and their blocks, one block for each instance that count, for_each or dynamic make."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

from policies.model import Place
from policies.shared.located import Map
from policies.shared.policy import Policy
from policies.terraform.hcl import Node
from policies.terraform.values import number, written

#: Blocks that Terraform can make many times.
REPEATED = ("resource", "data", "module")
#: More instances of one block say nothing new.
MOST = 20


class Values(Protocol):
    """What a block asks of the evaluator (policies/terraform/evaluator.py), which is made of the blocks."""

    def value(self, node: Node, file: str, scope: dict[str, Any] | None = None) -> Any: ...
    def named(self, name: str) -> Any: ...
    def references(self, node: Any) -> Iterator[str]: ...


def _pair(key: Any, value: Any, place: Place) -> Map:
    result = Map(place)
    result.put("key", key, place)
    result.put("value", value, place)
    return result


@dataclass(eq=False)
class Block:
    """One block. `labels` are ("aws_s3_bucket", "backup") for a resource; inner blocks are in `nested`.

    `scope` holds what each, count and the iterators of dynamic blocks stand for; `sure` is false if a block
    is not made at all, or only perhaps.
    """

    type: str
    labels: tuple[str, ...]
    place: Place
    module: Module = field(repr=False)
    attributes: dict[str, Node] = field(repr=False, default_factory=dict)
    places: dict[str, Place] = field(repr=False, default_factory=dict)
    nested: list[Block] = field(repr=False, default_factory=list)
    scope: dict[str, Any] = field(repr=False, default_factory=dict)
    sure: bool = True

    @property
    def address(self) -> str:
        """Return aws_s3_bucket.backup, data.aws_iam_policy_document.x, var.name, …"""
        kind = {"resource": (), "variable": ("var",)}.get(self.type, (self.type,))
        return ".".join((*kind, *self.labels))

    def has(self, name: str) -> bool:
        """Tell whether an attribute is set at all."""
        return name in self.attributes

    def value(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value, evaluated; policies/terraform/values.py says what it can be."""
        if name not in self.attributes:
            return default
        return self.module.evaluator.value(self.attributes[name], self.where(name).file, self.scope)

    def where(self, name: str = "") -> Place:
        """Return the place of an attribute or inner block, or of the block itself."""
        if name in self.places:
            return self.places[name]
        return next((inner.place for inner in self.nested if inner.type == name), self.place)

    @property
    def blocks(self) -> list[Block]:
        """The blocks directly inside; `dynamic` ones as what they make."""
        return [made for each in self.nested for made in (each._content() if each.is_dynamic else [each])]

    @property
    def is_dynamic(self) -> bool:
        """Whether it makes other blocks."""
        return self.type == "dynamic" and bool(self.labels)

    def inner(self, *path: str) -> Iterator[Block]:
        """Yield the inner blocks along a path of types."""
        if not path:
            yield self
            return
        for block in self.blocks:
            if block.type == path[0]:
                yield from block.inner(*path[1:])

    def references(self, name: str) -> set[str]:
        """Return the dotted names that an attribute mentions, for instance {"aws_s3_bucket.backup.id"}."""
        node = self.attributes.get(name)
        found = set() if node is None else set(self.module.evaluator.references(node))
        if name != "for_each" and any(each.startswith("each.") for each in found):
            found |= self.references("for_each")
        return found

    def names(self, attribute: str, target: Block) -> bool:
        """Tell whether an attribute mentions another block, or something of it."""
        address = target.address
        return any(each == address or each.startswith(f"{address}.") for each in self.references(attribute))

    # ---- count, for_each and dynamic

    def scopes(self, name: str = "each") -> list[dict[str, Any]] | None:
        """Return one scope for each instance; nothing if the files do not say how many there are."""
        if self.has("for_each"):
            over, place = self.value("for_each"), self.where("for_each")
            if isinstance(over, dict):
                return [{name: _pair(key, value, place)} for key, value in list(over.items())[:MOST]]
            if isinstance(over, list):
                return [{name: _pair(value, value, place)} for value in over[:MOST]]
            return None
        if self.has("count") and self.type in REPEATED:
            times = number(self.value("count"))
            if times is None:
                return None
            return [{"count": {"index": at}} for at in range(min(int(times), MOST))]
        return [{}]

    def instances(self) -> list[Block]:
        """Return the block as often as it is made; once, and not sure, if that is never or not known."""
        scopes = self.scopes() if self.type in REPEATED else [{}]
        return [self.within(scope) for scope in scopes or ()] or [self.within({}, sure=False)]

    def within(self, scope: dict[str, Any], sure: bool = True) -> Block:
        """Return the block with these names known in it and in all inside it."""
        inside = [each.within(scope, sure) for each in self.nested]
        return replace(self, scope={**self.scope, **scope}, nested=inside, sure=self.sure and sure)

    def _content(self) -> list[Block]:
        node = self.attributes.get("iterator")
        scopes = self.scopes(self.labels[0] if node is None else written(node))
        contents = [each for each in self.nested if each.type == "content"]
        made = [
            each.within(scope, sure=scopes is not None)
            for scope in ([{}] if scopes is None else scopes)
            for each in contents
        ]
        return [replace(each, type=self.labels[0], labels=()) for each in made]


@dataclass(eq=False)
class Module:
    """One folder with Terraform files; whoever reads it (policies/terraform/reader.py) sets the evaluator."""

    folder: str
    files: tuple[str, ...]
    #: The blocks as written; `blocks` has them as often as they are made.
    own: list[Block] = field(default_factory=list, repr=False)
    #: What the operator allows (policy.yml).
    policy: Policy = field(default_factory=Policy, repr=False)
    #: Buckets that hold the state of another module of this repository.
    states: frozenset[str] = frozenset()
    evaluator: Values = field(init=False, repr=False)

    @cached_property
    def blocks(self) -> list[Block]:
        """Every block, as often as it is made."""
        return [made for each in self.own for made in each.instances()]

    def all(self, type: str, *labels: str) -> list[Block]:
        """Return the blocks of a type whose labels begin so: all("resource", "aws_s3_bucket")."""
        return [each for each in self.blocks if each.type == type and each.labels[: len(labels)] == labels]

    def resources(self, *types: str) -> list[Block]:
        """Return the resources of these types."""
        return [each for each in self.blocks if each.type == "resource" and {*each.labels[:1]} & {*types}]

    def pointing_at(self, target: Block, attribute: str, *types: str) -> list[Block]:
        """Return the resources of these types whose attribute names `target`, for instance its bucket."""
        name = target.value(attribute)

        def points(block: Block) -> bool:
            return block.names(attribute, target) or (
                isinstance(name, str) and block.value(attribute) == name
            )

        return list(filter(points, self.resources(*types)))

    def backends(self) -> list[Block]:
        """Return where this module keeps its state."""
        return [inner for each in self.own if each.type == "terraform" for inner in each.inner("backend")]

    @property
    def place(self) -> Place:
        """Where to point if something is missing from the module as a whole."""
        main = posixpath.join(self.folder, "main.tf")
        return Place(main if main in self.files else self.files[0])
