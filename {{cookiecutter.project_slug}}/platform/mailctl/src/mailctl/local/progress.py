"""How `local up` tells what it does, on stderr: a live display on a terminal, else plain lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mailctl.core.output import Output


class Progress:
    """Numbered steps, and within a step either a display that is redrawn or lines that are appended."""

    def __init__(self, out: Output, steps: int) -> None:
        self._console = out.side
        self._steps = steps
        self._step = 0

    @property
    def live(self) -> bool:
        return self._console.is_terminal

    @property
    def width(self) -> int:
        return self._console.width

    def step(self, text: str) -> None:
        self._step += 1
        self._console.print(f"[{self._step}/{self._steps}] {text}", markup=False, style="bold")

    def line(self, text: str) -> None:
        """One line of detail, cut at the width: a build step may be a page of shell."""
        text = f"  {' '.join(text.split())}"
        if len(text) > self.width:
            text = f"{text[: self.width - 1]}…"
        self._console.print(text, markup=False)

    @contextmanager
    def display(self, draw: Callable[[], Any]) -> Iterator[Callable[[], None]]:
        """A redrawn display; yields the function that redraws it. Off a terminal it shows nothing."""
        if not self.live:
            yield lambda: None
            return
        from rich.live import Live

        with Live(draw(), console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda: live.update(draw(), refresh=True)
