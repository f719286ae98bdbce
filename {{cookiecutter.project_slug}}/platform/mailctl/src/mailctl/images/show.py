"""What people read of `mailctl images check`."""

from mailctl.core.output import Output
from mailctl.images.check import Answer


def show(out: Output, answers: list[Answer], written: bool) -> None:
    """A line an image, and what to do about what moved."""
    if out.as_json:
        return
    for answer in answers:
        out.row(answer.state, answer.pin.name)
        if answer.moved:
            out.row("", f"{answer.pin.digest} -> {answer.digest}")
            out.row("", f"in {', '.join(answer.pin.files)}")
        if answer.why:
            out.row("", answer.why)
    moved = [answer for answer in answers if answer.moved]
    if moved and written:
        out.row("next", "look at it with git diff, then make check and a pull request")
    elif moved:
        out.row("next", "make images-check ARGS=--write")
