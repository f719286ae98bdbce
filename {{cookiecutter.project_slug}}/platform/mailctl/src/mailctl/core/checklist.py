"""A line of a check list: a mark, what was found, and what to do about it."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

OK, WARNING, FAILED = "ok", "warning", "failed"
SIGNS = {OK: ("✓", "green"), WARNING: ("!", "yellow"), FAILED: ("✗", "bold red")}


@dataclass(frozen=True)
class Line:
    """One line of the list; `fix` says what to do when its mark is not ok."""

    name: str
    mark: str
    found: str
    fix: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def texts(lines: list[Line], width: int) -> "list[Text]":
    """The lines below each other, none wider than `width`; the way out below each that is not ok."""
    from rich.text import Text

    from mailctl.core.format import wrapped

    room = max((len(line.name) for line in lines), default=0)
    shown = []
    for line in lines:
        sign, style = SIGNS[line.mark]
        front = Text.assemble((f"{sign} ", style), f"{line.name:{room}}")
        shown += wrapped(front, line.found, width, style if line.mark != OK else "")
        if line.mark != OK and line.fix:
            shown += wrapped(Text(" " * (room + 2)), line.fix, width, "dim")
    return shown
