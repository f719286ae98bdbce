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
#: $config as a whole, an entry whose name is not written out, or another way to its entries.
UNKNOWN = re.compile(
    r"\$(?:rcmail_)?config\s*(?:\+=|=(?![=>])|\[\s*[^'\"\s])|&\s*\$(?:rcmail_)?config\b|\bextract\s*\(|\bGLOBALS\b|\$\$"
)
#: A second assignment inside the value of the first.
CHAINED = re.compile(r"\$(?:rcmail_)?config\s*\[[^\]]{0,300}\]\s*=(?![=>])")
NONE_YET = re.compile(r"\$config\s*=\s*(?:\[\s*\]|array\(\s*\))")
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
    """Return the assignments to $config; what is not written out has the name `?`."""
    result = Settings(file)
    for statement, line in statements(text.removeprefix("<?php")):
        matched = ASSIGNED.match(statement)
        if matched:
            result.put(matched["name"], matched["value"].strip(), line)
        rest = matched["value"] if matched else statement
        if (UNKNOWN.search(rest) or (CHAINED.search(rest) if matched else False)) and not NONE_YET.fullmatch(
            rest
        ):
            result.put("?", statement, line)
    return result
