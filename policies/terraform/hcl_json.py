"""Terraform's JSON syntax (.tf.json, .tfvars.json) as the same tree as HCL, with lines."""

from __future__ import annotations

import json
import re
from functools import lru_cache

from policies.model import Place
from policies.shared.located import Unreadable
from policies.terraform.hcl import Body, RawBlock, expression, quoted
from policies.terraform.hcl_tokens import Lexer, Node

TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:[^\"\\\x00-\x1f]|\\.)*\")|(?P<word>true|false|null)"
    r"|(?P<number>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<sign>[{}\[\]:,])|(?P<end>\Z))"
)
WORDS = {"true": True, "false": False, "null": None}
#: How many labels blocks of a type have, at the top of a file and inside others.
LABELS = {
    "resource": 2,
    "data": 2,
    "ephemeral": 2,
    "variable": 1,
    "output": 1,
    "module": 1,
    "provider": 1,
    "check": 1,
}
INNER_LABELS = {"dynamic": 1, "provisioner": 1, "backend": 1, "provider_meta": 1}
#: Their texts are names, without ${ }.
REFERENCES = (
    "depends_on",
    "ignore_changes",
    "replace_triggered_by",
    "provider",
    "providers",
    "from",
    "to",
    "iterator",
)
MAX_DEPTH = 200


class Reader:
    """Turns one JSON text into nodes."""

    def __init__(self, text: str, file: str, templates: bool = True) -> None:
        self.text, self.file, self.templates = text, file, templates
        self.position, self.line, self.depth = 0, 1, 0

    def next(self) -> tuple[str, str]:
        matched = TOKEN.match(self.text, self.position)
        if not matched:
            skipped = re.compile(r"\s*").match(self.text, self.position)
            line = self.line + (skipped.group().count("\n") if skipped else 0)
            raise Unreadable(Place(self.file, line), "this is no JSON")
        self.line += matched.group().count("\n")
        self.position = matched.end()
        kind = matched.lastgroup or ""
        return kind, matched[kind]

    def document(self) -> Node:
        node = self.value(*self.next())
        if self.next()[0] != "end":
            raise Unreadable(Place(self.file, self.line), "something follows the JSON")
        return node

    def value(self, kind: str, word: str) -> Node:
        line = self.line
        if kind == "string":
            return self.string(word, line)
        if kind == "word":
            return Node("literal", (WORDS[word],), line)
        if kind == "number":
            value = float(word)
            return Node("literal", (int(value) if value.is_integer() else value,), line)
        if word not in ("{", "["):
            raise Unreadable(Place(self.file, line), f"unexpected {word!r}")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(Place(self.file, line), "nested too deeply")
        node = self.object(line) if word == "{" else self.array(line)
        self.depth -= 1
        return node

    def string(self, word: str, line: int) -> Node:
        text = json.loads(word, strict=False)
        if not self.templates:
            return Node("literal", (text,), line)
        return quoted(Lexer(text, self.file, line).template(""), self.file, line)

    def array(self, line: int) -> Node:
        items: list[Node] = []
        kind, word = self.next()
        while word != "]":
            items.append(self.value(kind, word))
            kind, word = self.next()
            if word == ",":
                kind, word = self.next()
            elif word != "]":
                raise Unreadable(Place(self.file, self.line), "a comma or ] is missing")
        return Node("tuple", tuple(items), line)

    def object(self, line: int) -> Node:
        pairs: list[tuple[Node, Node]] = []
        known: set[str] = set()
        kind, word = self.next()
        while word != "}":
            if kind != "string":
                raise Unreadable(Place(self.file, self.line), "a name in quotes is missing")
            key = self.string(word, self.line)
            if self.next()[1] != ":":
                raise Unreadable(Place(self.file, self.line), "a colon is missing")
            if word in known:
                raise Unreadable(Place(self.file, key.line), f"{word} stands twice in one object")
            known.add(word)
            pairs.append((key, self.value(*self.next())))
            kind, word = self.next()
            if word == ",":
                kind, word = self.next()
            elif word != "}":
                raise Unreadable(Place(self.file, self.line), "a comma or } is missing")
        return Node("object", tuple(pairs), line)


def _pairs(node: Node, file: str) -> list[tuple[str, Node, Node]]:
    """Return the entries of an object, or of a list of objects, without comments."""
    objects = node.parts if node.kind == "tuple" else (node,)
    found = []
    for each in objects:
        if each.kind != "object":
            raise Unreadable(Place(file, each.line), "an object is missing")
        found += [(str(key.parts[0]), key, value) for key, value in each.parts if key.parts[:1] != ("//",)]
    return found


def _blocks(
    type: str, node: Node, labels: int, file: str, line: int, names: tuple[str, ...] = ()
) -> list[RawBlock]:
    """Return the blocks of a type: labels are the names of objects inside each other."""
    if labels:
        entries = _pairs(node, file)
        return [
            block
            for name, key, value in entries
            for block in _blocks(type, value, labels - 1, file, key.line, (*names, name))
        ]
    bodies = node.parts if node.kind == "tuple" else (node,)
    return [
        RawBlock(type, names, _body(each, file), line if len(bodies) == 1 else each.line, line)
        for each in bodies
    ]


def _references(node: Node, file: str) -> Node:
    if node.kind == "literal" and isinstance(node.parts[0], str):
        return expression(node.parts[0], file, node.line)
    if node.kind == "tuple":
        return Node("tuple", tuple(_references(each, file) for each in node.parts), node.line)
    if node.kind == "object":
        return Node("object", tuple((key, _references(value, file)) for key, value in node.parts), node.line)
    return node


def _body(node: Node, file: str) -> Body:
    """Return what stands in a block. JSON does not tell arguments from blocks: objects count as both."""
    body = Body()
    for name, key, value in _pairs(node, file):
        if name not in INNER_LABELS:
            argument = _references(value, file) if name in REFERENCES else value
            body.attributes[name] = Node("attribute", (argument,), key.line)
        items = value.parts if value.kind == "tuple" else (value,)
        if items and all(each.kind == "object" for each in items):
            body.blocks += _blocks(name, value, INNER_LABELS.get(name, 0), file, key.line)
    return body


@lru_cache(maxsize=64)
def parse(text: str, file: str) -> Body:
    """Return the body of a .tf.json file; raises Unreadable for the first thing that is none."""
    body = Body()
    try:
        for name, key, value in _pairs(Reader(text, file).document(), file):
            body.blocks += _blocks(name, value, LABELS.get(name, 0), file, key.line)
    except RecursionError as error:
        raise Unreadable(Place(file, 1), "nested too deeply") from error
    return body


@lru_cache(maxsize=64)
def parse_values(text: str, file: str) -> Body:
    """Return the values of a .tfvars.json file."""
    entries = _pairs(Reader(text, file, templates=False).document(), file)
    return Body({name: Node("attribute", (value,), key.line) for name, key, value in entries})
