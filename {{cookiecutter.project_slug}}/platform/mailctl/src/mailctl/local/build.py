"""Builds the images of the stack and shows how far each one is, from the builder's plain progress lines."""

import re
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mailctl.core.compose import Compose, failure
from mailctl.core.errors import Refused
from mailctl.local.progress import Progress

# "#7 [usermgmt builder 2/3] RUN pip install": vertex, service, stage and step, command
_STEP = re.compile(r"^#(?P<vertex>\d+) \[(?P<service>[\w.-]+)(?: (?P<place>[^\]]+))?\] (?P<text>.*)$")
_END = re.compile(r"^#(?P<vertex>\d+) (?P<how>DONE|CACHED|ERROR)\b")
KEPT_LINES = 40
WAITING, DONE = "waiting", "done"


@dataclass
class Image:
    """How far one image is."""

    service: str
    doing: str = WAITING
    began: float | None = None
    ended: float | None = None

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.began if self.began else 0.0


@dataclass
class BuildLog:
    """Reads the builder's lines; `news` is what a person should hear about the last one."""

    services: Iterable[str]
    images: dict[str, Image] = field(init=False)
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))
    _exports: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.images = {name: Image(name) for name in self.services}

    def read(self, line: str) -> str | None:
        """Take in one line; returns the news in it, if any."""
        line = line.rstrip()
        if line:
            self.tail.append(line)
        if step := _STEP.match(line):
            return self._begin(step)
        if (end := _END.match(line)) and end["how"] != "ERROR":
            return self._end(end["vertex"])
        return None

    def _begin(self, step: re.Match[str]) -> str | None:
        image = self.images.get(step["service"])
        if image is None:
            return None
        image.began = image.began or time.monotonic()
        if step["text"].startswith("exporting"):
            self._exports[step["vertex"]] = image.service
            image.doing = "exporting"
            return None
        if step["place"] == "internal":
            return None
        image.doing = f"{step['place'] or ''} {step['text']}".strip()
        return f"{image.service}: {image.doing}"

    def _end(self, vertex: str) -> str | None:
        image = self.images.get(self._exports.get(vertex, ""))
        if image is None or image.doing == DONE:
            return None
        image.doing, image.ended = DONE, time.monotonic()
        return f"{image.service}: built in {image.seconds:.0f} s"

    def finish(self) -> None:
        """The build as a whole has succeeded: an image without an export line of its own is done too."""
        for image in self.images.values():
            image.doing = DONE


def build(compose: Compose, services: list[str], progress: Progress) -> None:
    """Build the images of `services`. Raises Refused with the builder's last lines."""
    if not services:
        progress.line("nothing to build")
        return
    log = BuildLog(services)
    plain = Compose(compose.repo, (*compose.options, "--progress", "plain"), compose.environ)
    with plain.start("build", *services) as process, progress.display(lambda: _table(log)) as redraw:
        for line in process.stdout or ():
            news = log.read(line)
            if news and not progress.live:
                progress.line(news)
            redraw()
    if process.returncode:
        raise Refused(failure(["build"], process.returncode), details="\n".join(log.tail))
    log.finish()
    if progress.live:
        for image in log.images.values():
            progress.line(f"{image.service}: built in {image.seconds:.0f} s")


def _table(log: BuildLog) -> Any:
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for image in log.images.values():
        style = {"done": "green", "waiting": "dim"}.get(image.doing, "")
        table.add_row(image.service, f"{image.seconds:.0f} s", image.doing, style=style)
    return table
