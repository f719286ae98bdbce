"""Ask a person at a terminal, with cookiecutter's own prompts, until every answer is good."""

from __future__ import annotations

import json
from collections.abc import Mapping

from cookiecutter import prompt
from cookiecutter.generate import generate_context
from rich.console import Console

from tools import answers

INTRODUCTION = "Press Enter to take the answer in brackets; Ctrl-C leaves nothing behind.\n"


def texts() -> dict[str, object]:
    """Return the human words of every question."""
    return json.loads(answers.QUESTIONS.read_text(encoding="utf-8"))["__prompts__"]


def ask_one(field: str, given: Mapping[str, object]) -> object:
    """Ask one question again; its default follows from those of the given answers that are good."""
    wrong = {problem.field for problem in answers.validator().problems(given)}
    good = {key: value for key, value in given.items() if key not in wrong}
    raw, default = answers.questions()[field], answers.complete(good)[field]
    if isinstance(raw, list):
        return prompt.read_user_choice(field, raw, texts(), "  ")
    if isinstance(raw, bool):
        return prompt.read_user_yes_no(field, default, texts(), "  ")
    return prompt.read_user_variable(field, str(default), texts(), "  ")


def ask_until_good(console: Console | None = None) -> dict[str, object]:
    """Ask every question once, then only the wrongly answered ones, showing all that is wrong each time."""
    console = console or Console(stderr=True)
    console.print(INTRODUCTION, markup=False)
    asked = prompt.prompt_for_config(generate_context(str(answers.QUESTIONS)), no_input=False)
    given = {field: asked[field] for field in answers.questions()}
    while wrong := answers.validator().problems(given):
        console.print()
        for problem in wrong:
            console.print(f"  {problem}", markup=False, highlight=False)
        console.print()
        for problem in wrong:
            given.pop(problem.field)
        for problem in wrong:
            given[problem.field] = ask_one(problem.field, given)
    return given
