"""Numbers for people: sizes, durations, times, image names."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
UNITS = ("B", "K", "M", "G", "T", "P")


def size(number: float | None) -> str:
    """Bytes in at most four characters and a unit, by 1024 as the compose file counts: 512M, 1.5G."""
    if number is None:
        return "-"
    for unit in UNITS:
        if number < 1000 or unit == UNITS[-1]:
            text = f"{number:.1f}".removesuffix(".0") if number < 10 and unit != "B" else f"{number:.0f}"
            return f"{text}{unit}"
        number /= 1024
    return "-"


def duration(seconds: float | None) -> str:
    """The two largest units: 45s, 3m 20s, 5h 2m, 12d 4h."""
    if seconds is None:
        return "-"
    whole = int(seconds)
    for unit, length, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // part}{smaller}"
    return f"{whole}s"


def image(name: str) -> str:
    """The name without its digest: the tag says what a person wants to know."""
    return name.partition("@")[0]


def plain(text: str) -> str:
    """Text of strangers, without what could steer a terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def clock(at: "datetime") -> str:
    """The time of a log line in the local zone, to the millisecond."""
    return f"{at.astimezone():%H:%M:%S}.{at.microsecond // 1000:03}"


def service_style(name: str) -> str:
    """The colour that stands for a service, the same wherever it is named."""
    colours = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")
    return colours[sum(name.encode()) % len(colours)]


def wrapped(front: "Text", text: str, width: int, style: str = "") -> "list[Text]":
    """`text` after `front`, its further lines below its first."""
    from textwrap import wrap

    from rich.text import Text

    room = max(width - front.cell_len - 1, 20)
    first, *rest = wrap(plain(text), room, break_on_hyphens=False) or [""]
    indent = " " * (front.cell_len + 1)
    return [Text.assemble(front, " ", (first, style)), *(Text(indent + line, style) for line in rest)]


def moment(option: str, text: str) -> float:
    """A time in epoch seconds: so long ago (30m, 6h, 7d), or an ISO time. Raises Misuse."""
    import time
    from datetime import datetime

    from mailctl.core.errors import Misuse, Problem

    if match := re.fullmatch(r"(\d{1,6})([smhd])", text):
        return max(0.0, time.time() - int(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]])
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        fix = "30m, 6h, 7d, or a time such as 2026-11-26T20:00"
        raise Misuse(Problem(option, "is no time", fix, value=text)) from None
