"""HCL, the language of Terraform, as a tree with lines.

Own code, because the parsers for Python give texts instead of expressions, and lose the lines inside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from policies.model import Place
from policies.shared.located import Unreadable
from policies.terraform.hcl_tokens import Lexer, Node, Token

__all__ = ["Body", "Node", "RawBlock", "expression", "parse", "quoted"]


@dataclass
class Body:
    """Attributes by name and blocks in order."""

    attributes: dict[str, Node] = field(default_factory=dict)
    blocks: list[RawBlock] = field(default_factory=list)


@dataclass
class RawBlock:
    """A block as written: type, labels, body."""

    type: str
    labels: tuple[str, ...]
    body: Body
    line: int


BINARY = ({"||"}, {"&&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"})


class Parser:
    """Turns tokens into a body or an expression."""

    def __init__(self, text: str, file: str, line: int = 1) -> None:
        self.file = file
        self.stream = Lexer(text, file, line).tokens()
        self.at = 0
        self.lines_matter = [True]

    # ---- tokens

    def peek(self) -> Token:
        if not self.lines_matter[-1]:
            while self.stream[self.at].kind == "newline":
                self.at += 1
        return self.stream[self.at]

    def next(self) -> Token:
        token = self.peek()
        self.at += token.kind != "end"
        return token

    def accept(self, value: str) -> bool:
        token = self.peek()
        if token.kind in ("operator", "newline", "name") and token.value == value:
            self.next()
            return True
        return False

    def expect(self, value: str) -> Token:
        token = self.peek()
        if token.kind not in ("operator", "newline", "name") or token.value != value:
            raise Unreadable(
                Place(self.file, token.line), f"{value!r} is missing before {str(token.value)!r}"
            )
        return self.next()

    def skip_lines(self) -> None:
        while self.stream[self.at].kind == "newline":
            self.at += 1

    # ---- bodies

    def body(self, closing: str = "") -> Body:
        result = Body()
        while True:
            self.skip_lines()
            token = self.next()
            if token.kind == "end" and not closing:
                return result
            if token.kind == "operator" and token.value == closing:
                return result
            if token.kind != "name":
                raise Unreadable(Place(self.file, token.line), f"unexpected {str(token.value)!r}")
            if self.accept("="):
                if token.value in result.attributes:
                    raise Unreadable(Place(self.file, token.line), f"{token.value} is set twice in one block")
                node = self.expression()
                result.attributes[token.value] = Node("attribute", (node,), token.line)
                if not (closing and self.peek().value == closing):
                    self.expect("\n")
            else:
                result.blocks.append(self.block(token))

    def block(self, head: Token) -> RawBlock:
        labels = []
        while self.peek().kind in ("template", "name"):
            token = self.next()
            labels.append("".join(map(str, token.value)) if token.kind == "template" else token.value)
        self.expect("{")
        self.lines_matter.append(True)
        body = self.body("}")
        self.lines_matter.pop()
        return RawBlock(head.value, tuple(labels), body, head.line)

    # ---- expressions

    def alone(self) -> Node:
        """Return the one expression of an interpolation."""
        self.lines_matter = [False]
        node = self.expression()
        if self.peek().kind != "end":
            raise Unreadable(Place(self.file, self.peek().line), f"unexpected {self.peek().value!r}")
        return node

    def expression(self) -> Node:
        node = self.binary(0)
        if self.accept("?"):
            then = self.expression()
            self.skip_lines()
            self.expect(":")
            self.skip_lines()
            node = Node("if", (node, then, self.expression()), node.line)
        return node

    def binary(self, level: int) -> Node:
        if level == len(BINARY):
            return self.unary()
        node = self.binary(level + 1)
        while self.peek().kind == "operator" and self.peek().value in BINARY[level]:
            sign = self.next().value
            node = Node("binary", (sign, node, self.binary(level + 1)), node.line)
        return node

    def unary(self) -> Node:
        token = self.peek()
        if token.kind == "operator" and token.value in ("-", "!"):
            self.next()
            return Node("unary", (token.value, self.unary()), token.line)
        return self.steps(self.primary())

    def steps(self, node: Node) -> Node:
        while True:
            if self.accept("."):
                token = self.next()
                if token.value == "*":
                    node = Node("splat", (node,), token.line)
                else:
                    node = Node("get", (node, str(token.value)), token.line)
            elif self.peek().kind == "operator" and self.peek().value == "[":
                line = self.next().line
                with_lines = self.bracket()
                if self.accept("*"):
                    node = Node("splat", (node,), line)
                else:
                    node = Node("index", (node, self.expression()), line)
                self.expect("]")
                with_lines()
            else:
                return node

    def bracket(self) -> Any:
        """Make line ends meaningless until the returned function is called."""
        self.lines_matter.append(False)
        return self.lines_matter.pop

    def primary(self) -> Node:
        token = self.next()
        if token.kind == "template":
            return quoted(token.value, self.file, token.line)
        if token.kind == "number":
            number = float(token.value)
            return Node("literal", (int(number) if number.is_integer() else number,), token.line)
        if token.kind == "name":
            return self.named(token)
        if token.value == "(":
            done = self.bracket()
            node = self.expression()
            self.expect(")")
            done()
            return node
        if token.value == "[":
            return self.collection(token, "]")
        if token.value == "{":
            return self.collection(token, "}")
        raise Unreadable(Place(self.file, token.line), f"unexpected {str(token.value)!r}")

    def named(self, token: Token) -> Node:
        if token.value in ("true", "false", "null"):
            return Node("literal", ({"true": True, "false": False, "null": None}[token.value],), token.line)
        name = token.value
        while self.accept("::"):
            name += "::" + str(self.next().value)
        if not (self.peek().kind == "operator" and self.peek().value == "("):
            return Node("name", (name,), token.line)
        self.next()
        done = self.bracket()
        arguments, expand = [], False
        while not self.accept(")"):
            arguments.append(self.expression())
            expand = self.accept("...")
            if not self.accept(","):
                self.expect(")")
                break
        done()
        return Node("call", (name, tuple(arguments), expand), token.line)

    def collection(self, token: Token, closing: str) -> Node:
        done = self.bracket()
        if self.accept("for"):
            node = self.comprehension(token, closing)
        elif closing == "]":
            items = []
            while not self.accept("]"):
                items.append(self.expression())
                if not self.accept(","):
                    self.expect("]")
                    break
            node = Node("tuple", tuple(items), token.line)
        else:
            node = self.object(token)
        done()
        return node

    def object(self, token: Token) -> Node:
        pairs = []
        while not self.accept("}"):
            key = self.expression()
            if not self.accept("="):
                self.expect(":")
            self.lines_matter[-1] = True
            self.skip_lines()
            value = self.expression()
            ended = self.accept(",") or self.peek().kind == "newline"
            self.lines_matter[-1] = False
            pairs.append((key, value))
            if not ended:
                self.expect("}")
                break
        return Node("object", tuple(pairs), token.line)

    def comprehension(self, token: Token, closing: str) -> Node:
        names = [self.next().value]
        if self.accept(","):
            names.append(self.next().value)
        self.expect("in")
        over = self.expression()
        self.expect(":")
        first = self.expression()
        second = self.expression() if closing == "}" and self.accept("=>") else None
        grouped = self.accept("...")
        condition = self.expression() if self.accept("if") else None
        self.expect(closing)
        return Node("for", (tuple(names), over, first, second, grouped, condition), token.line)


def expression(text: str, file: str, line: int) -> Node:
    """Return a text that is one expression and nothing else."""
    return Parser(text, file, line).alone()


def quoted(parts: list[Any], file: str, line: int) -> Node:
    """Return a text from its pieces; what stood between ${ and } becomes an expression."""

    def read_one(part: Any) -> Any:
        source = isinstance(part, Node) and part.kind == "source"
        return expression(part.parts[0], file, part.line) if source else part

    read = tuple(map(read_one, parts))
    if all(isinstance(part, str) for part in read):
        return Node("literal", ("".join(read),), line)
    return Node("template", read, line)


@lru_cache(maxsize=256)
def parse(text: str, file: str) -> Body:
    """Return the body of a file; raises Unreadable for the first thing that is no HCL."""
    try:
        return Parser(text, file).body()
    except RecursionError as error:
        raise Unreadable(Place(file, 1), "nested too deeply") from error
