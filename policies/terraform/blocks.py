"""Terraform modules and their blocks, one block for each instance that count, for_each or dynamic make.

A value is plain data (Map and List keep the lines inside), `Json` for a text that holds JSON, `Unknown` for
what only Terraform will know, or `Partial` for a text with something unknown in it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from policies.model import Place
from policies.shared.located import Map
from policies.terraform.hcl import Node

if TYPE_CHECKING:
    from policies.terraform.values import Evaluator

#: Blocks that Terraform can make many times.
REPEATED = ("resource", "data", "ephemeral", "module")
#: More instances of one block say nothing new.
MOST = 20


@dataclass(frozen=True)
class Unknown:
    """A value that is not in the files. `text` is the expression, for instance aws_s3_bucket.backup.id."""

    text: str

    def __str__(self) -> str:
        return "${" + self.text + "}"


class Partial(str):
    """A text with something unknown in it, written as ${…}."""


def yes(value: Any) -> bool:
    """Tell whether a value is true; Terraform takes the text for it as well."""
    return value is True or value == "true"


def number(value: Any) -> int | float | None:
    """Return a number, also one that was written as a text; nothing if it is none or unknown."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return int(value) if type(value) is str and value.isdecimal() else None


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
    end: int
    module: Module = field(repr=False)
    attributes: dict[str, Node] = field(repr=False, default_factory=dict)
    places: dict[str, Place] = field(repr=False, default_factory=dict)
    nested: list[Block] = field(repr=False, default_factory=list)
    scope: dict[str, Any] = field(repr=False, default_factory=dict)
    sure: bool = True

    @property
    def address(self) -> str:
        """Return aws_s3_bucket.backup, data.aws_iam_policy_document.x, var.name, module.m.aws_…, …"""
        kind = {"resource": (), "variable": ("var",)}.get(self.type, (self.type,))
        return self.module.prefix + ".".join((*kind, *self.labels))

    def has(self, name: str) -> bool:
        """Tell whether an attribute is set at all."""
        return name in self.attributes

    def value(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value, evaluated; see the module's docstring for what it can be."""
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
        if name != "for_each" and any(each.startswith(f"{self.module.prefix}each.") for each in found):
            found |= self.references("for_each")
        return found

    # ---- count, for_each and dynamic

    @property
    def repetition(self) -> Node | None:
        """The expression that says how often a block is made; none if it is made once."""
        return self.attributes.get("for_each") or self.attributes.get("count")

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
            return (
                None if times is None else [{"count": {"index": at}} for at in range(min(int(times), MOST))]
            )
        return [{}]

    def instances(self) -> list[Block]:
        """Return the block as often as it is made; once, and not sure, if that is never or not known."""
        scopes = self.scopes() if self.type in REPEATED else [{}]
        made = [self.within(scope) for scope in scopes or ()] or [self.within({}, sure=False)]
        return made if self.module.sure else [each.within({}, sure=False) for each in made]

    def within(self, scope: dict[str, Any], sure: bool = True) -> Block:
        """Return the block with these names known in it and in all inside it."""
        inside = [each.within(scope, sure) for each in self.nested]
        return replace(self, scope={**self.scope, **scope}, nested=inside, sure=self.sure and sure)

    def _content(self) -> list[Block]:
        iterator = str(self.module.evaluator.written(self.attributes.get("iterator"), self.labels[0]))
        scopes = self.scopes(iterator)
        contents = [each for each in self.nested if each.type == "content"]
        made = [
            each.within(scope, sure=scopes is not None)
            for scope in ([{}] if scopes is None else scopes)
            for each in contents
        ]
        return [replace(each, type=self.labels[0], labels=()) for each in made]


@dataclass(eq=False)
class Module:
    """One folder with Terraform files, as a root or as it is called by another one."""

    folder: str
    files: tuple[str, ...]
    #: The blocks as written; `blocks` has them as they are made, those of called modules included.
    own: list[Block] = field(default_factory=list, repr=False)
    #: Values from the tfvars files that git tracks.
    given: dict[str, tuple[Node, Place]] = field(default_factory=dict, repr=False)
    #: The block that calls it, for a module inside another one.
    call: Block | None = field(default=None, repr=False)
    children: list[Module] = field(default_factory=list, repr=False)
    #: Files for init -backend-config, each as a block.
    settings: list[Block] = field(default_factory=list, repr=False)
    #: Examples of values, and settings of the command line.
    written_down: list[Block] = field(default_factory=list, repr=False)
    #: What .terraform.lock.hcl says, one block a provider.
    locks: list[Block] = field(default_factory=list, repr=False)
    #: Buckets that hold the state of a module of this repository.
    states: frozenset[str] = frozenset()
    evaluator: Evaluator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from policies.terraform.values import Evaluator

        self.evaluator = Evaluator(self)

    @property
    def prefix(self) -> str:
        """What stands before the address of everything in here."""
        return f"{self.call.address}." if self.call else ""

    @property
    def sure(self) -> bool:
        """Whether it is called at all."""
        return self.call is None or self.call.sure

    @cached_property
    def blocks(self) -> list[Block]:
        """Every block, as often as it is made, with those of the modules that it calls."""
        own = [made for each in self.own for made in each.instances()]
        return own + [block for child in self.children for block in child.blocks]

    def child(self, name: str) -> Module | None:
        """Return a called module by the name of its call."""
        return next((each for each in self.children if each.call and each.call.labels == (name,)), None)

    def all(self, type: str, *labels: str) -> list[Block]:
        """Return the blocks of a type whose labels begin so: all("resource", "aws_s3_bucket")."""
        return [each for each in self.blocks if each.type == type and each.labels[: len(labels)] == labels]

    def resources(self, *types: str) -> list[Block]:
        """Return the resources of these types."""
        return [
            each
            for each in self.blocks
            if each.type == "resource" and each.labels[:1] and each.labels[0] in types
        ]

    def pointing_at(self, target: Block, attribute: str, *types: str) -> list[Block]:
        """Return the resources of these types whose attribute names `target`, for instance its bucket."""
        name = target.value(attribute)
        return [
            each
            for each in self.resources(*types)
            if names(each, attribute, target) or (isinstance(name, str) and each.value(attribute) == name)
        ]

    def own_backends(self) -> list[Block]:
        """Return where this module keeps its state: its backend, and files that complete or replace it."""
        settings = [each for each in self.own if each.type == "terraform"]
        return [inner for each in settings for inner in each.inner("backend")] + self.settings

    @property
    def place(self) -> Place:
        """Where to point if something is missing from the module as a whole."""
        main = posixpath.join(self.folder, "main.tf")
        return Place(main if main in self.files else self.files[0])


def names(block: Block, attribute: str, target: Block) -> bool:
    """Tell whether an attribute mentions another block, or something of it."""
    address = target.address
    return any(each == address or each.startswith(f"{address}.") for each in block.references(attribute))
