"""Which jobs and steps of a workflow GitHub would run, by the expressions that these workflows use.

https://docs.github.com/en/actions/reference/workflows-and-actions/expressions: a value that is not there is
an empty text; without a function of state in its `if` a job is skipped when one that it needs was no success.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

TOKEN = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!(),]|[\w.-]+)")
STATES = ("success", "failure", "cancelled", "always")


class Expression:
    """A recursive descent over one expression, with values by name and the state of what ran before."""

    def __init__(self, text: str, values: Mapping[str, Any], failed: bool) -> None:
        self._tokens = TOKEN.findall(text)
        assert "".join(self._tokens) == re.sub(r"\s(?=(?:[^']*'[^']*')*[^']*$)", "", text), text
        self._values, self._failed = values, failed

    def value(self) -> Any:
        """Return what it is; both sides of && and || are values, as at GitHub."""
        left = self._both()
        while self._next("||"):
            right = self._both()
            left = left or right
        return left

    def _both(self) -> Any:
        left = self._compared()
        while self._next("&&"):
            right = self._compared()
            left = left and right
        return left

    def _compared(self) -> Any:
        left = self._one()
        if self._next("=="):
            return left == self._one()
        return left != self._one() if self._next("!=") else left

    def _one(self) -> Any:
        if self._next("!"):
            return not self._one()
        if self._next("("):
            value = self.value()
            assert self._next(")")
            return value
        token = self._tokens.pop(0)
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        return self._called(token) if self._next("(") else self._values.get(token, "")

    def _called(self, name: str) -> Any:
        given = []
        while not self._next(")"):
            given.append(self.value())
            self._next(",")
        states = {"success": not self._failed, "failure": self._failed, "cancelled": False, "always": True}
        if name in states:
            return states[name]
        return json.loads(given[0]) if name == "fromJSON" else {"contains": lambda a, b: b in a}[name](*given)

    def _next(self, token: str) -> bool:
        return bool(self._tokens and self._tokens[0] == token and self._tokens.pop(0))


def runs(condition: object, values: Mapping[str, Any], failed: bool = False) -> bool:
    """Tell whether a job or step with this `if` runs; without a function of state it needs success."""
    text = str(condition or "").strip().removeprefix("${{").removesuffix("}}").strip()
    if failed and not any(f"{state}(" in text for state in STATES):
        return False
    return bool(Expression(text, values, failed).value()) if text else not failed


def jobs(
    repository: Path, file: str, values: Mapping[str, Any], broken: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each job with what becomes of it: success, failure (if it is one of `broken`) or skipped.

    A job that calls a workflow of the repository is that one's jobs, and ends as they do.
    """
    data = yaml.safe_load((repository / ".github/workflows" / file).read_text(encoding="utf-8"))
    ended: dict[str, str] = {}
    for name, job in data["jobs"].items():
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        failed = any(ended[each] != "success" for each in needs)
        if not runs(job.get("if"), values, failed):
            ended[name] = "skipped"
        elif called := str(job.get("uses", "")).removeprefix("$/.github/workflows/"):
            inner = list(jobs(repository, called, values, broken))
            ended[name] = "failure" if any(how == "failure" for _, how, _ in inner) else "success"
            yield from inner
            continue
        else:
            ended[name] = "failure" if name in broken else "success"
        yield name, ended[name], job
