"""One line for each step of a long command, on standard error, with the seconds it took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_SECONDS = 15


def _tell(ended: threading.Event) -> None:
    """Print the seconds so far until it ended."""
    started = time.monotonic()
    while not ended.wait(EVERY_SECONDS):
        print(f"      still at it after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


class Progress:
    """Numbers the steps of a command; on a terminal the current one shows that it is alive."""

    def __init__(self, total: int) -> None:
        """Expect `total` steps."""
        self._total, self._done = total, 0

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say what is being done while it is done; a failure leaves the line without its seconds."""
        self._done += 1
        head, started = f"[{self._done}/{self._total}] {title}", time.monotonic()
        print(f"{head} …", file=sys.stderr, flush=True)
        with _alive():
            yield
        seconds = time.monotonic() - started
        if seconds >= 1:
            print(f"      {seconds:.0f} s", file=sys.stderr, flush=True)


@contextmanager
def _alive() -> Iterator[None]:
    """Turn a spinner with the seconds so far on a terminal; elsewhere say them from time to time."""
    if not sys.stderr.isatty():
        ended = threading.Event()
        threading.Thread(target=_tell, args=(ended,), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
        return
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TimeElapsedColumn

    with Bar(SpinnerColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        bar.add_task("", total=None)
        yield
