"""What Terraform expressions mention, whatever they come to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from policies.terraform.expressions import written
from policies.terraform.hcl import Node

if TYPE_CHECKING:
    from policies.terraform.blocks import Module


class References:
    """Finds the names in the expressions of one module; `open` are those that are being followed."""

    module: Module
    open: set[tuple[str, str]]

    def references(self, node: Any) -> Iterator[str]:
        """Yield every dotted name in an expression, and in the locals, variables and outputs that it uses."""
        if not isinstance(node, Node):
            if isinstance(node, tuple):
                for part in node:
                    yield from self.references(part)
            return
        if node.kind in ("name", "get", "index") and "." in (name := written(node)):
            yield self.module.prefix + name
            yield from self._behind(name)
        if node.kind != "name":
            for part in node.parts:
                yield from self.references(part)

    def _behind(self, name: str) -> Iterator[str]:
        """Yield the names behind a local, a variable that a caller sets, or a called module's output."""
        kind, key, *rest = name.split(".")
        if (kind, key) in self.open:
            return
        self.open.add((kind, key))
        if kind == "local":
            for block in self.module.own:
                if block.type == "locals" and block.has(key):
                    yield from block.references(key)
        elif kind == "var" and self.module.call:
            yield from self.module.call.references(key)
        elif kind == "module" and rest and (child := self.module.child(key)):
            for block in child.own:
                if block.type == "output" and block.labels == (rest[0],):
                    yield from block.references("value")
        self.open.discard((kind, key))
