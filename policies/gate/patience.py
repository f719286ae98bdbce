"""How long a step of the gate may take: a hostile file must not keep it busy for ever."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from policies.model import Place, Problem

#: The longest that one step may take, and all rules together, in seconds. Honest repositories need a
#: hundredth of it; --time-limit asks for more.
STEP = 120.0
STEPS_IN_ALL = 5
#: How often it is said again, should anything swallow the first word.
AGAIN = 1.0


class TooLong(BaseException):
    """A step did not end in time. No Exception, so that nothing on the way takes it for a value it lacks."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooLong if what stands inside is not done in time; only the main thread can be stopped so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001), AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Patience:
    """The time that is left for several steps together."""

    def __init__(self, step: float = STEP) -> None:
        self.step, self.end = step, time.monotonic() + STEPS_IN_ALL * step

    def seconds(self) -> float:
        """Return how long the next step may take."""
        return min(self.step, self.end - time.monotonic())


def problem(what: str, seconds: float, last: str) -> Problem:
    """Say that a step was stopped, and which file it was at as far as anybody knows."""
    said = f"{what} was stopped after {max(seconds, 0):.0f} seconds and looked at nothing more"
    near = f"; the file that was opened last is {last}" if last else ""
    fix = "shorten that file or its longest line, or grant more: --time-limit SECONDS"
    return Problem("took-too-long", Place(last or "."), said + near, fix)
