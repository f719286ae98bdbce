"""Terraform modules: blocks, and expressions evaluated as far as they are known without a provider.

A value is plain data (Map and List keep the lines inside), `Json` for a text that holds JSON, `Unknown` for
what only Terraform will know, or `Partial` for a text with something unknown in it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from policies.model import Place
from policies.sources import hcl
from policies.sources.located import Unreadable

if TYPE_CHECKING:
    from policies.sources.repository import Repository
    from policies.sources.terraform_values import Evaluator


@dataclass(frozen=True)
class Unknown:
    """A value that is not in the files. `text` is the expression, for instance aws_s3_bucket.backup.id."""

    text: str

    def __str__(self) -> str:
        return "${" + self.text + "}"


class Partial(str):
    """A text with something unknown in it, written as ${…}."""


@dataclass
class Block:
    """One block. `labels` are ("aws_s3_bucket", "backup") for a resource; inner blocks are in `blocks`."""

    type: str
    labels: tuple[str, ...]
    place: Place
    end: int
    module: Module = field(repr=False)
    attributes: dict[str, hcl.Node] = field(repr=False, default_factory=dict)
    places: dict[str, Place] = field(repr=False, default_factory=dict)
    blocks: list[Block] = field(repr=False, default_factory=list)

    @property
    def address(self) -> str:
        """Return aws_s3_bucket.backup, data.aws_iam_policy_document.x, var.name, …"""
        kind = {"resource": (), "variable": ("var",)}.get(self.type, (self.type,))
        return ".".join((*kind, *self.labels))

    def has(self, name: str) -> bool:
        """Tell whether an attribute is set at all."""
        return name in self.attributes

    def value(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value, evaluated; see the module's docstring for what it can be."""
        if name not in self.attributes:
            return default
        return self.module.evaluator.value(self.attributes[name], self.place.file)

    def where(self, name: str = "") -> Place:
        """Return the place of an attribute or inner block, or of the block itself."""
        if name in self.places:
            return self.places[name]
        return next((inner.place for inner in self.blocks if inner.type == name), self.place)

    def inner(self, *path: str) -> Iterator[Block]:
        """Yield the inner blocks along a path of types; `dynamic` ones count by their content."""
        if not path:
            yield self
            return
        for block in self.blocks:
            if block.type == path[0]:
                yield from block.inner(*path[1:])
            elif block.type == "dynamic" and block.labels == (path[0],):
                for content in block.inner("content"):
                    yield from content.inner(*path[1:])

    def references(self, name: str) -> set[str]:
        """Return the dotted names that an attribute mentions, for instance {"aws_s3_bucket.backup.id"}."""
        node = self.attributes.get(name)
        return set() if node is None else set(self.module.evaluator.references(node))


@dataclass
class Module:
    """One folder with Terraform files."""

    folder: str
    files: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    #: Values from the tfvars files that git tracks.
    given: dict[str, tuple[hcl.Node, Place]] = field(default_factory=dict)
    evaluator: Evaluator = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from policies.sources.terraform_values import Evaluator

        self.evaluator = Evaluator(self)

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
        prefix = target.address
        return [
            each
            for each in self.resources(*types)
            if any(name == prefix or name.startswith(f"{prefix}.") for name in each.references(attribute))
            or (isinstance(each.value(attribute), str) and each.value(attribute) == target.value(attribute))
        ]

    @property
    def place(self) -> Place:
        """Where to point if something is missing from the module as a whole."""
        main = posixpath.join(self.folder, "main.tf")
        return Place(main if main in self.files else self.files[0])


def _block(raw: hcl.RawBlock, file: str, module: Module) -> Block:
    block = Block(raw.type, raw.labels, Place(file, raw.line), raw.end, module)
    block.attributes = {name: node.parts[0] for name, node in raw.body.attributes.items()}
    block.places = {name: Place(file, node.line) for name, node in raw.body.attributes.items()}
    block.blocks = [_block(inner, file, module) for inner in raw.body.blocks]
    return block


def _override(module: Module, over: Block) -> None:
    """Lay a block of an override file over its namesake, as Terraform does."""
    for block in module.blocks:
        if (block.type, block.labels) == (over.type, over.labels):
            block.attributes.update(over.attributes)
            block.places.update(over.places)
            replaced = {inner.type for inner in over.blocks}
            block.blocks = [inner for inner in block.blocks if inner.type not in replaced] + over.blocks
            return
    module.blocks.append(over)


def is_override(file: str) -> bool:
    """Tell whether Terraform lays a file over the others."""
    name = posixpath.basename(file)
    return name == "override.tf" or name.endswith("_override.tf")


def parsed(repository: Repository, file: str) -> hcl.Body | None:
    """Return a file's tree; one that cannot be read is a problem."""
    repository.seen.add(file)
    try:
        return hcl.parse(repository.text(file), file)
    except Unreadable as error:
        repository.problem("unreadable", error.place, str(error), "write it as valid HCL")
        return None


def modules(repository: Repository) -> list[Module]:
    """Return every folder with Terraform files as a module."""
    folders: dict[str, list[str]] = {}
    for file in repository.matching("*.tf"):
        folders.setdefault(posixpath.dirname(file), []).append(file)
    found = []
    for folder, files in folders.items():
        module = Module(folder, tuple(files))
        for file in sorted(files, key=lambda name: (is_override(name), name)):
            body = parsed(repository, file)
            for raw in body.blocks if body else []:
                block = _block(raw, file, module)
                if is_override(file):
                    _override(module, block)
                else:
                    module.blocks.append(block)
        for file in repository.matching("*.tfvars"):
            if posixpath.dirname(file) == folder and (body := parsed(repository, file)):
                for name, node in body.attributes.items():
                    module.given[name] = (node.parts[0], Place(file, node.line))
        found.append(module)
    for file in repository.matching("*.tf.json", "*.tfvars.json"):
        repository.problem(
            "not-looked-at",
            Place(file),
            "Terraform in JSON is not read here",
            "write it as HCL, in a .tf file",
        )
    return found
