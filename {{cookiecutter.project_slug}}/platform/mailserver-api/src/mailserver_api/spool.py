"""Where a message lies while it is received and forwarded: a small one in memory, a larger one on disk."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mailserver_api.addresses import Envelope
from mailserver_api.fingerprint import Fingerprint
from mailserver_api.problems import Problem
from mailserver_api.verdicts import Verdict

MEMORY_BYTES = 256 * 1024


@dataclass(frozen=True)
class Message:
    """A received message: open file, size in bytes, key for recognizing it, whether a byte is above 127."""

    file: IO[bytes]
    size: int
    key: str
    is_8bit: bool
    message_id: str | None


class Spool:
    """Folder of nameless files: they vanish when closed, and with the process."""

    def __init__(self, folder: Path, max_message_bytes: int) -> None:
        self._folder = folder
        self._max = max_message_bytes

    def clean(self) -> None:
        """Make the folder, and empty it of what a crash on an unusual file system may have left."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for leftover in self._folder.iterdir():
            leftover.unlink()

    def open(self, memory_bytes: int = MEMORY_BYTES) -> IO[bytes]:
        """A new file, on disk once it is larger than that; then writing to it may raise OSError."""
        return tempfile.SpooledTemporaryFile(memory_bytes, buffering=0, dir=str(self._folder))

    def refuse_early(self, content_length: str | None) -> None:
        """Raise too-large before a byte is read, if the caller announced too many."""
        if content_length and content_length.isdecimal() and int(content_length) > self._max:
            raise self._too_large()

    async def receive(self, chunks: AsyncIterator[bytes], envelope: Envelope, seconds: float) -> Message:
        """Write the body to a new file within `seconds`; raises Problem, and then nothing is left behind."""
        file = self.open()
        try:
            async with asyncio.timeout(seconds):
                return await self._write(chunks, file, Fingerprint(envelope))
        except BaseException as error:
            file.close()
            if isinstance(error, TimeoutError):
                raise Problem(Verdict.TEMPORARY, "The message did not arrive in time.") from error
            if isinstance(error, OSError):
                raise Problem(Verdict.TEMPORARY, f"The spool cannot be written: {error.strerror}") from error
            raise

    async def _write(
        self, chunks: AsyncIterator[bytes], file: IO[bytes], fingerprint: Fingerprint
    ) -> Message:
        size, is_8bit, buffer = 0, False, bytearray()
        async for chunk in chunks:
            size += len(chunk)
            if size > self._max:
                raise self._too_large()
            is_8bit = is_8bit or not chunk.isascii()
            fingerprint.feed(chunk)
            buffer += chunk
            if len(buffer) >= MEMORY_BYTES:
                await asyncio.to_thread(_write_all, file, buffer)
                buffer = bytearray()
        if size == 0:
            raise Problem(Verdict.MALFORMED, "The body is empty; send the raw message.", field="body")
        if size > MEMORY_BYTES:
            await asyncio.to_thread(_write_all, file, buffer)
        else:
            file.write(buffer)
        return Message(file, size, fingerprint.key(), is_8bit, fingerprint.message_id)

    def _too_large(self) -> Problem:
        return Problem(Verdict.TOO_LARGE, f"A message may have at most {self._max} bytes.", limit=self._max)


def _write_all(file: IO[bytes], data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
