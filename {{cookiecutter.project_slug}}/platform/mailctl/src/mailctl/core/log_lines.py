"""Lines of the services' logs, each with the time at which the engine got it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mailctl.core.format import plain

if TYPE_CHECKING:
    from mailctl.core.engine import ContainerState, Engine

# The time that a service itself writes in front; the engine's is more exact.
_OWN_TIME = re.compile(
    r"^(?:\w{3} [ \d]\d [\d:]{8} (?:\S+ (?=postfix/))?"  # Postfix, Dovecot, ClamAV
    r"|\w{3} \w{3} [ \d]\d [\d:]{8} \d{4} -> "
    r"|\[?\d{4}-\d\d-\d\d[ T][ \d:]{7,8}\S*\]? )"
)


@dataclass(frozen=True)
class LogLine:
    """A line that a service wrote."""

    at: datetime
    service: str
    text: str

    @property
    def bare(self) -> str:
        """For people: without the service's own time, without JSON, without what could steer a terminal."""
        if self.text.startswith("{"):
            with suppress(ValueError, AttributeError):
                said = json.loads(self.text).items()
                return plain(
                    " ".join(f"{k}={v}" for k, v in said if k not in ("time", "level") and v is not None)
                )
        return plain(_OWN_TIME.sub("", self.text))


def read(engine: "Engine", containers: "Sequence[ContainerState]", since: float, tail: int) -> list[LogLine]:
    """What containers wrote since a time (epoch seconds; 0: ever), of each the last `tail` lines (0: all)."""

    def one(found: "ContainerState") -> list[LogLine]:
        text: bytes = engine.log(found.id, timestamps=True, since=since or None, tail=tail or "all")
        return list(stamped(text.split(b"\n"), found.service))

    with ThreadPoolExecutor(len(containers) or 1) as pool:
        return sorted((line for part in pool.map(one, containers) for line in part), key=lambda line: line.at)


def follow(engine: "Engine", found: "ContainerState", tail: int) -> Iterator[LogLine]:
    """The last `tail` lines of a container and all that come, until it ends."""
    rest = b""
    for chunk in engine.log(found.id, timestamps=True, tail=tail, stream=True, follow=True):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from stamped(whole, found.service)


def stamped(lines: Iterable[bytes], service: str) -> Iterator[LogLine]:
    """Lines as the engine gives them. One without a time, the rest of a long line, gets that of the last."""
    at = datetime.fromtimestamp(0, UTC)
    for line in lines:
        word, _, text = line.decode("utf-8", "replace").rstrip("\r").partition(" ")
        try:
            # The engine's nanoseconds are more than Python knows.
            at = datetime.fromisoformat(f"{word.rstrip('Z')[:26]}+00:00")
        except ValueError:
            text = f"{word} {text}"
        if text.strip():
            yield LogLine(at, service, text)
