"""Expressions of GitHub workflows: ${{ … }} in texts."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from policies.shared.located import mapping
from policies.shared.rule import read

EXPRESSION = re.compile(r"\$\{\{(?P<inside>(?:(?!\$\{\{).)*?)\}\}", re.DOTALL)
#: secrets.X, secrets['X'], all of them, or the token of the run.
SECRET = re.compile(r"\bsecrets\b|\bgithub\s*(?:\.\s*token\b|\[\s*'token'\s*\])", re.IGNORECASE)
#: What only somebody with the repository's settings gives a value to.
OURS = re.compile(r"\b(?:secrets|vars)\s*\.\s*\w+|\bgithub\s*\.\s*token\b", re.IGNORECASE)
INPUT = re.compile(r"^github\.event\.inputs\.")
LITERAL = re.compile(r"'(?:[^']|'')*'")
NAME = re.compile(r"(?<![\w.-])[A-Za-z_*][\w.*-]*")
#: Words and functions of the language that let no other text in.
KEPT = (
    "true", "false", "null", "format", "join", "tojson", "contains", "startswith", "endswith", "hashfiles",
    "always", "success", "failure", "cancelled",
)  # fmt: skip
#: What the rules of workflows know: runners, triggers, commands that deploy.
KNOWN = read(Path(__file__).with_name("known.yml"))


def expressions(text: Any) -> list[str]:
    """Return the inside of every expression in a text."""
    return [each.strip() for each in EXPRESSION.findall(str(text))] if isinstance(text, str) else []


def secret(expression: str) -> bool:
    """Tell whether an expression yields a secret."""
    return bool(SECRET.search(expression))


def holds_secret(value: Any) -> bool:
    """Tell whether a text has a secret in it."""
    return any(secret(each) for each in expressions(value))


def harmless(expression: str, inputs: Collection[str] = ()) -> bool:
    """Tell whether nobody outside the repository can put text of their own into an expression.

    All that it names must be known as harmless, or be one of `inputs`; what it compares with and joins by
    adds no text.
    """
    plain = LITERAL.sub("''", expression)
    names = [INPUT.sub("inputs.", each.lower()) for each in NAME.findall(plain)]
    kept = (*KEPT, *(f"inputs.{each.lower()}" for each in inputs))
    return "[" not in plain and all(
        name in kept or any(re.fullmatch(each, name) for each in KNOWN["harmless"]) for name in names
    )


def foreign(text: Any, inputs: Collection[str] = ()) -> bool:
    """Tell whether strangers may have put text of theirs into a value; what is in the settings is ours."""
    return any(not harmless(OURS.sub("''", each), inputs) for each in expressions(text))


def secret_names(env: Any) -> set[str]:
    """Return the variables of an `env` that hold a secret."""
    return {str(name) for name, value in mapping(env).items() if holds_secret(value)}
