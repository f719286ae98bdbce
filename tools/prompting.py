"""Ask a person at a terminal: each answer is checked as it is given, and a wrong one comes back repaired.

Plain lines that every terminal, screen reader and pasted text can handle; Python's readline edits them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping

from rich.console import Console

from tools import answers

BACK = "<"
INTRODUCTION = f"""\
Press Enter to take the answer in [brackets]; {BACK} goes back one question.
Ctrl-C leaves nothing behind but your answers, which the next run offers again."""
# Questions that only one answer to another question makes necessary; otherwise their default is right.
ONLY_IF = {field: ("relay", "smtp") for field in ("relay_host", "relay_port", "forward_by_relay")}
YES_NO = {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}

Check = Callable[[Mapping[str, object], str], object]
"""Given all answers so far and the field of the newest: its problem, or None."""


def texts() -> dict[str, object]:
    """Return the human words of every question."""
    return json.loads(answers.QUESTIONS.read_text(encoding="utf-8"))["__prompts__"]


def problem(given: Mapping[str, object], field: str) -> object:
    """Return what is wrong with the newest answer, by itself or beside the earlier ones, or None."""
    return next((p for p in answers.validator().problems(given) if p.field == field), None)


class Questions:
    """Asks every question once, in order, and again whatever was answered wrongly."""

    def __init__(
        self,
        console: Console,
        suggested: Mapping[str, object],
        check: Check = problem,
        keep: Callable[[Mapping[str, object]], None] = lambda given: None,
    ) -> None:
        """Offer `suggested` answers before the template's defaults; `keep` is told of each good answer."""
        self._console, self._check, self._keep = console, check, keep
        self._suggested, self._given = dict(suggested), {}
        self._raw, self._texts = answers.questions(), texts()

    def ask(self) -> dict[str, object]:
        """Return a good answer to every question that had to be asked."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - importing it lets input() edit its line
        self._say(INTRODUCTION)
        fields, position = list(self._raw), 0
        while position < len(fields):
            field = fields[position]
            if field in ONLY_IF and self._given.get(ONLY_IF[field][0]) != ONLY_IF[field][1]:
                position += 1
                continue
            answered = self._ask_until_good(field, position + 1, len(fields))
            if answered:
                position += 1
                self._keep({**self._suggested, **self._given})
            else:
                position = self._step_back(fields, position)
        return dict(self._given)

    def _say(self, text: str, style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def _step_back(self, fields: list[str], position: int) -> int:
        """Return the position of the question before, whose answer becomes the one that is offered."""
        before = next((p for p in range(position - 1, -1, -1) if fields[p] in self._given), 0)
        for field in fields[before:]:
            if field in self._given:
                self._suggested[field] = self._given.pop(field)
        return before

    def _ask_until_good(self, field: str, number: int, total: int) -> bool:
        """Ask one question until its answer is good; False if the person wants the one before."""
        offered = self._default(field)
        self._show(field, number, total)
        while (text := self._read(field, offered)) != BACK:
            value = self._value(field, text, offered)
            wrong = self._check({**self._given, field: value}, field)
            if wrong is None:
                self._given[field] = answers.validator().normalise({field: value})[field]
                return True
            self._say(f"       {wrong}", "red")
            repair = getattr(wrong, "repair", None)
            if repair is not None:
                offered = repair
        return False

    def _default(self, field: str) -> object:
        """Return a good answer to offer: an earlier one, the machine's, the template's, or its repair."""
        follows = answers.complete(self._given)[field]
        for value in (self._suggested.get(field, follows), follows):
            wrong = self._check({**self._given, field: value}, field)
            if wrong is None:
                return value
            repair = getattr(wrong, "repair", None)
            if repair is not None and self._check({**self._given, field: repair}, field) is None:
                return repair
        return None

    def _show(self, field: str, number: int, total: int) -> None:
        """Print the question, with its choices if it has some."""
        shown, raw = self._texts[field], self._raw[field]
        self._say(
            f"\n{number:2}/{total}  {shown['__prompt__'] if isinstance(shown, dict) else shown}", "bold"
        )
        for count, choice in enumerate(raw if isinstance(raw, list) else [], 1):
            self._say(f"         {count}  {choice}: {shown[choice]}")

    def _read(self, field: str, offered: object) -> str:
        """Return the line that was typed, without the spaces around it."""
        if isinstance(self._raw[field], bool):
            hint = "[Y/n]" if offered else "[y/N]"
        else:
            hint = "" if offered is None else f"[{offered}]"
        # input() itself prints the prompt, so that readline knows where the line begins.
        return input(f"       {hint} > " if hint else "       > ").strip()

    def _value(self, field: str, text: str, offered: object) -> object:
        """Return the answer that a line means: Enter, a choice's number, yes or no, or the text itself."""
        raw = self._raw[field]
        if not text and offered is not None:
            return offered
        if isinstance(raw, list) and text.isdecimal() and 1 <= int(text) <= len(raw):
            return raw[int(text) - 1]
        return YES_NO.get(text.lower(), text) if isinstance(raw, bool) else text
