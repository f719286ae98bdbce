"""A push tells the host to look for what was merged: that is all that this token can ask for."""

import asyncio
import time
from pathlib import Path

from mailserver_api.problems import CLOSE, Problem
from mailserver_api.tokens import Tokens
from mailserver_api.verdicts import Verdict

#: Shorter than a person merges again; what is asked too early is told when to come back (Retry-After).
EVERY_SECONDS = 10.0


class Hasten:
    """Writes a file for which a unit of systemd waits on the host; an empty token file: switched off."""

    def __init__(self, token_file: Path, folder: Path) -> None:
        self._file = token_file
        self._tokens = Tokens(token_file)
        self._asked = folder / "asked"
        self._last = float("-inf")

    def is_off(self) -> bool:
        """Whether nobody made a token, as it is by default."""
        try:
            return not self._file.read_text("ascii").strip()
        except FileNotFoundError:
            return True
        except (OSError, UnicodeDecodeError):
            return False

    async def ask(self, authorization: str | None) -> None:
        """Have the host look. Raises Problem: unauthorized, busy (too soon), or temporary."""
        self._tokens.require(authorization)
        now = time.monotonic()
        if now - self._last < EVERY_SECONDS:
            raise Problem(Verdict.BUSY, "The host was asked a moment ago.", headers=CLOSE)
        try:
            await asyncio.to_thread(self._asked.write_text, f"{time.time():.0f}\n")
        except OSError as error:
            raise Problem(Verdict.TEMPORARY, f"The host cannot be asked: {error.strerror}") from error
        self._last = now
