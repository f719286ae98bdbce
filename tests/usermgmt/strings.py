"""Finds every text that the pages can show: the source of the translation catalogs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import yaml
from jinja2 import Environment

import usermgmt
from usermgmt.problem_json import KINDS
from usermgmt.services.mail_reasons import REASONS
from usermgmt.strength import WORDS
from usermgmt.web import aliases, domains, mailboxes
from usermgmt.web.account import VIA
from usermgmt.web.charts import NAMES, TITLES
from usermgmt.web.errors import TEXTS
from usermgmt.web.mail import MEANINGS, OUTCOMES
from usermgmt.web.mail_rules import REASONS as NOT_FORWARDED
from usermgmt.web.mail_rules import STATE_WORDS
from usermgmt.web.overview import ACTIONS, DELIVERIES, JOBS
from usermgmt.web.words import DOMAINS, FIELDS

PACKAGE = Path(usermgmt.__file__).parent
CONDITIONS = PACKAGE.parents[1] / "mailctl/src/mailctl/monitor/conditions.yml"
# Where a Problem keeps its two texts, after field and value.
PROBLEM_TEXTS = slice(2, 4)
#: What marks a text in a template, the second one with its plural.
MARKS = ("_", "_n")


def template_texts() -> Iterator[str]:
    """The texts marked with `_()` in templates."""
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for file in sorted((PACKAGE / "web" / "templates").glob("*.html")):
        for _line, _function, text in environment.extract_translations(
            file.read_text(encoding="utf-8"), MARKS
        ):
            if isinstance(text, str):
                yield text
            else:
                yield from (part for part in text or () if part)


def literals(node: ast.AST) -> Iterator[str]:
    """The string constants in an expression, both branches of a condition included."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield inner.value


def code_texts() -> Iterator[str]:
    """The texts of problems and of messages after a change."""
    for file in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Problem", "refuse"):
                for argument in node.args[PROBLEM_TEXTS]:
                    yield from literals(argument)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in (
                "text",
                "wrong",
                "instead",
            ):
                yield from literals(node.value)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
                names = [getattr(name, "id", "") for name in node.targets[0].elts]
                if names == ["wrong", "instead"]:
                    yield from literals(node.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tell":
                yield from literals(node.args[0])


def incident_titles() -> Iterator[str]:
    """What the host's monitor calls what is wrong: handed over, and said in the reader's language."""
    yield "The monitor cannot ask everything"
    yield from (row["title"] for row in yaml.safe_load(CONDITIONS.read_text(encoding="utf-8")).values())


def all_texts() -> set[str]:
    """Every text, once."""
    texts = {*template_texts(), *code_texts(), *ACTIONS.values(), *FIELDS.values(), DOMAINS, *WORDS.values()}
    texts.update((*MEANINGS.values(), *OUTCOMES.values(), *REASONS.values(), *VIA.values()))
    texts.update((*STATE_WORDS.values(), *NOT_FORWARDED.values()))
    texts.update(text for pair in TEXTS.values() for text in pair)
    for module in (aliases, domains, mailboxes):
        texts.update((*module.STATES.values(), *module.ORDERS.values()))
    texts.update(text for kind in KINDS for text in (kind.title, kind.advice))
    texts.update((*DELIVERIES, *JOBS.values(), *NAMES.values(), *TITLES.values(), *incident_titles()))
    return {text for text in texts if " " in text or text[:1].isupper() or text in ("catch-all", "never")}
