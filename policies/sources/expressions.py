"""Expressions of GitHub workflows: ${{ … }} in texts."""

from __future__ import annotations

import re
from typing import Any

from policies.sources.located import mapping
from policies.sources.tables import table

EXPRESSION = re.compile(r"\$\{\{(?P<inside>(?:(?!\$\{\{).)*?)\}\}", re.DOTALL)
#: secrets.X, secrets['X'], all of them, or the token of the run.
SECRET = re.compile(r"\bsecrets\b|\bgithub\s*(?:\.\s*token\b|\[\s*'token'\s*\])", re.IGNORECASE)
HASH = re.compile(r"^hashFiles\('[^']*'(?:,\s*'[^']*')*\)$")
MATRIX = re.compile(r"^matrix\.[\w-]+$")


def expressions(text: Any) -> list[str]:
    """Return the inside of every expression in a text."""
    return [each.strip() for each in EXPRESSION.findall(str(text))] if isinstance(text, str) else []


def secret(expression: str) -> bool:
    """Tell whether an expression yields a secret."""
    return bool(SECRET.search(expression))


def holds_secret(value: Any) -> bool:
    """Tell whether a text has a secret in it."""
    return any(secret(each) for each in expressions(value))


def harmless(expression: str) -> bool:
    """Tell whether nobody outside the repository can put text of their own into an expression."""
    same = expression.lower() in table("actions")["harmless"]
    return same or bool(HASH.match(expression) or MATRIX.match(expression))


def secret_names(env: Any) -> set[str]:
    """Return the variables of an `env` that hold a secret."""
    return {str(name) for name, value in mapping(env).items() if holds_secret(value)}
