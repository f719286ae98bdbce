"""Again until it works, within a limit."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from mailctl.core.errors import Refused

Answer = TypeVar("Answer")


def until(work: Callable[[], Answer], seconds: float, pause: float = 0.5) -> Answer:
    """What `work` returns, once it no longer refuses; its refusal when it still does after `seconds`."""
    end, nap = time.monotonic() + seconds, threading.Event()
    while True:
        try:
            return work()
        except Refused:
            if time.monotonic() >= end:
                raise
        nap.wait(pause)
