"""The queue for people."""

from collections import Counter

from mailctl.core.format import duration, plain, size, wrapped
from mailctl.core.mail_queue import DEFERRED, HELD, LATE_SECONDS, Waiting
from mailctl.core.output import Output

SHOWN = 50


def show_queue(out: Output, mails: list[Waiting]) -> None:
    """Two lines a mail: what it is, and why it waits. Of many only the oldest; --json has all."""
    from rich.text import Text

    for mail in mails[:SHOWN]:
        style = {DEFERRED: "yellow", HELD: "magenta"}.get(mail.queue, "")
        style = "red" if mail.queue == DEFERRED and mail.seconds > LATE_SECONDS else style
        front = Text.assemble(
            (f"{mail.id:16}", "bold"), (f" {mail.queue:8}", style), f" {duration(mail.seconds):>7}"
        )
        about = f"{size(mail.size)} {mail.sender or '<>'} to {_to(mail)}"
        out.lines(wrapped(front, about, out.console.width))
        if mail.reason:
            out.lines(wrapped(Text(" " * 16), mail.reason, out.console.width, style))
    if len(mails) > SHOWN:
        out.show(f"and {len(mails) - SHOWN} more (--json lists them)")
    counts = ", ".join(f"{n} {name}" for name, n in Counter(mail.queue for mail in mails).items())
    out.show(f"{len(mails)} mails wait: {counts}." if mails else "The queue is empty.")
    if mails:
        out.item("next", ".venv/bin/mailctl queue flush tries all now; queue --help has more")


def show_mail(out: Output, mail: Waiting, header: str) -> None:
    """The envelope in rows, then the header as it is."""
    rows = (
        ("queue", f"{mail.queue}, for {duration(mail.seconds)}"),
        ("from", mail.sender or "<>"),
        ("to", ", ".join(mail.recipients)),
        ("size", size(mail.size)),
        ("reason", mail.reason or "-"),
    )
    for label, text in rows:
        out.row(label, plain(text))
    out.show("", plain(header.rstrip()))


def _to(mail: Waiting) -> str:
    more = len(mail.recipients) - 1
    return f"{mail.recipients[0] if mail.recipients else '-'}{f' +{more}' if more > 0 else ''}"
