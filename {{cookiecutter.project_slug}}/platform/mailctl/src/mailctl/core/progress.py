"""Progress bars on a terminal; nothing elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mailctl.core.output import Output

if TYPE_CHECKING:
    from rich.progress import Progress


class Bars:
    """One bar a task, on stderr, while `shown` lasts."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._display: Progress | None = None

    @contextmanager
    def shown(self) -> Iterator["Bars"]:
        if self._out.as_json or not self._out.side.is_terminal:
            yield self
            return
        from rich import progress

        columns = (*progress.Progress.get_default_columns(), progress.MofNCompleteColumn())
        with progress.Progress(*columns, console=self._out.side) as self._display:
            yield self
        self._display = None

    @contextmanager
    def task(self, name: str, total: int = 1) -> Iterator[Callable[[int, int], None]]:
        """Yields what is called with the files and bytes done since the last call."""
        if self._display is None:
            yield lambda files, size: None
            return
        display, task = self._display, self._display.add_task(name, total=total)
        yield lambda files, size: display.advance(task, files)
        display.update(task, completed=total)


@contextmanager
def bar(out: Output, first: str) -> Iterator[Callable[[str, int, int], None]]:
    """One bar, whose yielded function is told what is being done, and how much of how much is done."""
    if out.as_json or not out.side.is_terminal:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=out.side, transient=True) as shown:
        task = shown.add_task(first, total=None)
        yield lambda text, done, total: shown.update(task, description=text, completed=done, total=total or 1)
