"""HCL as words: quoted texts and heredocs with their parts, everything else one by one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from policies.model import Place
from policies.shared.located import Unreadable


@dataclass(frozen=True)
class Node:
    """An expression: `kind` says which, `parts` are its operands, `line` is where it begins."""

    kind: str
    parts: tuple[Any, ...]
    line: int


TOKEN = re.compile(
    r"(?P<space>[ \t\r]+)|(?P<newline>\n)|(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?(?:\*/|(?P<open>\Z)))"
    r"|(?P<heredoc><<(?P<trim>-?)(?P<tag>[A-Za-z_][\w-]*)[ \t]*\r?\n)"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d][\w-]*)|(?P<quote>\")"
    r"|(?P<operator>==|!=|<=|>=|&&|\|\||=>|\.\.\.|::|[-+*/%!<>?:=.,\[\](){}])",
    re.DOTALL,
)
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}


@dataclass(frozen=True)
class Token:
    """A word of the text. Quoted texts and heredocs are `template`, with their parts as value."""

    kind: str
    value: Any
    line: int


class Lexer:
    """Splits a text into tokens."""

    def __init__(self, text: str, file: str, line: int = 1) -> None:
        self.text, self.file, self.line, self.position = text, file, line, 0

    def fail(self, why: str) -> Unreadable:
        return Unreadable(Place(self.file, self.line), why)

    def tokens(self) -> list[Token]:
        found: list[Token] = []
        while self.position < len(self.text):
            matched = TOKEN.match(self.text, self.position)
            if not matched:
                raise self.fail(f"unexpected {self.text[self.position]!r}")
            kind, line = matched.lastgroup or "", self.line
            if matched["open"] is not None:
                raise self.fail("a comment has no end")
            if matched["heredoc"]:
                kind = "heredoc"
            self.position = matched.end()
            self.line += matched.group().count("\n")
            if kind == "quote":
                found.append(Token("template", self.template('"'), line))
            elif kind == "heredoc":
                found.append(Token("template", self.heredoc(matched["tag"], bool(matched["trim"])), line))
            elif kind == "newline":
                found.append(Token("newline", "\n", line))
            elif kind not in ("space", "comment"):
                found.append(Token(kind, matched.group(), line))
        found.append(Token("newline", "\n", self.line))
        found.append(Token("end", "", self.line))
        return found

    def heredoc(self, tag: str, trim: bool) -> list[Any]:
        end = re.compile(rf"^[ \t]*{re.escape(tag)}[ \t]*\r?$", re.MULTILINE).search(self.text, self.position)
        if not end:
            raise self.fail(f"the text after <<{tag} has no end")
        body = self.text[self.position : end.start()]
        if trim:
            lines = body.split("\n")
            indent = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
            body = "\n".join(each[indent:] for each in lines)
        inner = Lexer(body, self.file, self.line)
        parts = inner.template("")
        self.line += self.text.count("\n", self.position, end.end())
        self.position = end.end()
        return parts

    def template(self, closing: str) -> list[Any]:
        """Read up to the closing quote (or the end); return texts and expressions in turn."""
        parts: list[Any] = []
        text = ""
        while self.position < len(self.text):
            here = self.text[self.position]
            if closing and here == closing:
                self.position += 1
                break
            if self.text.startswith(("$${", "%%{"), self.position):
                text += self.text[self.position + 1 : self.position + 3]
                self.position += 3
            elif self.text.startswith(("${", "%{"), self.position):
                parts += [text] if text else []
                text = ""
                parts.append(self.interpolation(here))
            elif closing and here == "\\":
                text += self.escape()
            else:
                self.line += here == "\n"
                if closing and here == "\n":
                    raise self.fail("a quoted text ends in its own line")
                text += here
                self.position += 1
        else:
            if closing:
                raise self.fail("a quoted text has no end")
        return parts + ([text] if text or not parts else [])

    def escape(self) -> str:
        letter = self.text[self.position + 1 : self.position + 2]
        self.position += 2
        return ESCAPES.get(letter, letter)

    def interpolation(self, sign: str) -> Node:
        """Return the expression between ${ and }; directives %{ } count as unknown."""
        start, line, depth = self.position + 2, self.line, 1
        self.position = start
        while depth:
            if self.position >= len(self.text):
                raise self.fail(f"{sign}{{ has no closing brace")
            here = self.text[self.position]
            self.position += 1
            self.line += here == "\n"
            depth += (here == "{") - (here == "}")
            if here == '"':
                self.template('"')
        inside = self.text[start : self.position - 1].strip("~")
        if sign == "%":
            return Node("unknown", ("%{" + inside + "}",), line)
        return Node("source", (inside,), line)
