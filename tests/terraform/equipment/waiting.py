"""Waits for something to become true instead of sleeping."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Returns as soon as the condition holds; raises TimeoutError after `seconds`."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"after {seconds} seconds: {what}")
        time.sleep(0.05)
