"""Roundcube's PHP files: the statements, without comments, and what they assign to $config."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.config.settings import Settings

TOKEN = re.compile(
    r"(?P<comment>/\*.*?(?:\*/|\Z)|//[^\n]*|\#(?!\[)[^\n]*)|(?P<text>'(?:\\.|[^'\\])*+(?:'|\Z)|\"(?:\\.|[^\"\\])*+(?:\"|\Z))"
    r"|(?P<other>[^'\"/#;{}$\n]+|.)",
    re.DOTALL,
)
ASSIGNED = re.compile(
    r"^\$(?:rcmail_)?config\s*\[\s*(?P<quote>['\"])(?P<name>\w+)(?P=quote)\s*\]\s*=(?!=)\s*(?P<value>.*)$",
    re.DOTALL,
)
LITERAL = re.compile(r"'((?:\\.|[^'\\])*+)(?:'|\Z)|\"((?:\\.|[^\"\\])*+)(?:\"|\Z)", re.DOTALL)
OFF = ("false", "0", "''", '""', "null", "!true", "!1", "(bool)0", "[]", "array()")
ON = ("true", "1", "!false", "!0", "(bool)1", "'1'", '"1"')


def statements(text: str) -> Iterator[tuple[str, int]]:
    """Yield each statement with its line; blocks end statements as semicolons do."""
    parts: list[str] = []
    line = first = 1
    begun = False
    for matched in TOKEN.finditer(text):
        piece = matched.group()
        if matched.lastgroup == "other" and piece in ";{}":
            if statement := "".join(parts).strip():
                yield statement, first
            parts, begun = [], False
        elif matched.lastgroup != "comment":
            if piece.strip() and not begun:
                first, begun = line, True
            parts.append(piece)
        line += piece.count("\n")
    if statement := "".join(parts).strip():
        yield statement, first


def truth(value: str) -> str:
    """Return `true` or `false` for the spellings that PHP takes for them, otherwise the value itself."""
    plain = re.sub(r"\s", "", value).lower()
    while plain.startswith("(") and plain.endswith(")"):
        plain = plain[1:-1]
    return "false" if plain in OFF else "true" if plain in ON else value.strip()


def literals(value: str) -> list[str]:
    """Return the texts written out in an expression."""
    return [single or double for single, double in LITERAL.findall(value)]


def assignments(text: str, file: str) -> Settings:
    """Return the assignments to $config."""
    result = Settings(file)
    for statement, line in statements(text.removeprefix("<?php")):
        if matched := ASSIGNED.match(statement):
            result.put(matched["name"], matched["value"].strip(), line)
    return result
