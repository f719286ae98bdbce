"""Which provider a resource is made with, and where."""

from __future__ import annotations

import re

from policies.terraform.blocks import Block, Module

KIND = "aws"
EXACT = re.compile(r"^=?\s*v?\d+\.\d+\.\d+$")
COMMIT = re.compile(r"[?&]ref=[0-9a-f]{40}(?:&|$)")


def in_repository(call: Block) -> bool:
    """Tell whether a call names a module of this repository; modules of others have no relative source."""
    return str(call.value("source")).startswith(("./", "../"))


def pinned(call: Block) -> bool:
    """Tell whether a call names one version of a module for ever: an exact version, or a commit."""
    version = EXACT.match(str(call.value("version", "")))
    return bool(version or COMMIT.search(str(call.value("source"))))


def provider(block: Block, kind: str = KIND) -> Block | None:
    """Return the provider that makes a resource: the one it names, or the one without an alias."""
    alias = _alias(block.references("provider"))
    module: Module = block.module
    while True:
        for each in module.own:
            if each.type == "provider" and each.labels == (kind,) and each.value("alias") == alias:
                return each
        if not module.call:
            return None
        alias = _handed_over(module.call, kind, alias)
        module = module.call.module


def _alias(names: set[str]) -> str | None:
    return next((name.rpartition(".")[2] for name in names), None)


def _handed_over(call: Block, kind: str, alias: str | None) -> str | None:
    """Return the alias that the caller has for a provider of the module that it calls."""
    node = call.attributes.get("providers")
    wanted = f"{kind}.{alias}" if alias else kind
    for key, value in node.parts if node is not None and node.kind == "object" else ():
        if ".".join(_words(key)) == wanted:
            words = _words(value)
            return words[1] if len(words) > 1 else None
    return alias


def _words(node: object) -> list[str]:
    """Return the parts of a dotted name."""
    kind, parts = getattr(node, "kind", ""), getattr(node, "parts", ())
    if kind == "get":
        return [*_words(parts[0]), str(parts[1])]
    return [str(parts[0])] if parts else []


def region(block: Block) -> object:
    """Return a resource's own region, or that of its provider."""
    if block.has("region"):
        return block.value("region")
    made_by = provider(block)
    return made_by.value("region") if made_by else None
