"""Text for people, JSON for programs: one object decides, so that no command does.

Results go to stdout, everything said on the way to stderr. Rich is imported only when text is printed.
"""

import json
import sys
from functools import cached_property
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from mailctl.core.errors import Problem, Refused

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WRAP: dict[str, Any] = {"break_on_hyphens": False, "break_long_words": False}


class Output:
    """Where a command prints. With `as_json` only `document` and `refusal` write to stdout."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        from rich.console import Console

        return Console(highlight=False, soft_wrap=False)

    @cached_property
    def side(self) -> "Console":
        """stderr: progress, notes, warnings and errors."""
        from rich.console import Console

        return Console(stderr=True, highlight=False)

    def document(self, document: dict[str, Any]) -> None:
        """Print the JSON result; silent in text mode."""
        if self.as_json:
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def show(self, *renderables: Any) -> None:
        """Print a result for people; silent in JSON mode. Strings are taken literally, not as markup."""
        if not self.as_json:
            for item in renderables:
                self.console.print(item, markup=False)

    def item(self, label: str, text: str) -> None:
        """A result of the form `label: text`, wrapped; silent in JSON mode."""
        if not self.as_json:
            self._wrapped(self.console, f"{label}:", "bold", f"{label}: {text}", indent=2)

    def row(self, label: str, text: str, width: int = 10) -> None:
        """A result line that is never wrapped or cut, so that it can be copied; silent in JSON mode."""
        if not self.as_json:
            self.console.print(f"{label:{width}} {text}", markup=False, soft_wrap=True)

    def plain(self, line: str) -> None:
        """One of thousands of result lines: written as it is; silent in JSON mode."""
        if not self.as_json:
            sys.stdout.write(line + "\n")

    def lines(self, lines: "list[Text]") -> None:
        """Result lines with styles, never wrapped; silent in JSON mode."""
        if not self.as_json:
            for line in lines:
                self.console.print(line, soft_wrap=True)

    def note(self, text: str) -> None:
        self.side.print(text, markup=False)

    def warn(self, text: str) -> None:
        self._labelled("warning:", "yellow", text)

    def refusal(self, refusal: Refused) -> None:
        """Say why nothing was done: as JSON on stdout, or as text on stderr."""
        problems = [problem.as_dict() for problem in refusal.problems]
        if self.as_json:
            document: dict[str, Any] = {"ok": False, "problems": problems}
            if refusal.details:
                document["details"] = refusal.details
            self.document(document)
            return
        if refusal.details:
            self.side.print(refusal.details.rstrip(), markup=False, style="dim")
        for problem in refusal.problems:
            self._problem(problem)

    def _problem(self, problem: Problem) -> None:
        value = f" = {problem.value}" if problem.value is not None else ""
        self._labelled("error:", "red", f"{problem.field}{value}")
        for label, text in (("wrong", problem.wrong), ("fix", problem.fix), ("next", problem.next)):
            if text:
                self._labelled(f"  {label:5}", "dim", text)

    def _labelled(self, label: str, style: str, text: str) -> None:
        self._wrapped(self.side, label, style, f"{label} {text}", indent=len(label) + 1)

    @staticmethod
    def _wrapped(console: "Console", label: str, style: str, text: str, indent: int) -> None:
        """Print `text`, which begins with `label`, wrapped with a hanging indent."""
        from rich.text import Text

        lines = wrap(text, max(console.width, indent + 20), subsequent_indent=" " * indent, **WRAP)
        styled = Text("\n".join(lines))
        styled.stylize(style, 0, len(label))
        console.print(styled, soft_wrap=True)
