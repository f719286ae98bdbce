"""Ways of mails for people."""

from mailctl.core import mail_log
from mailctl.core.format import clock, plain, service_style, wrapped
from mailctl.core.output import Output
from mailctl.trace.ways import Way

STYLES = {
    mail_log.DELIVERED: "green",
    mail_log.SENT: "green",
    mail_log.DEFERRED: "yellow",
    mail_log.HELD: "yellow",
    mail_log.REFUSED: "red",
    mail_log.BOUNCED: "red",
}
NEXT = {
    mail_log.DEFERRED: ".venv/bin/mailctl queue retry {id}, once its reason is gone",
    mail_log.HELD: ".venv/bin/mailctl queue release {id}",
}


def show_way(out: Output, way: Way) -> None:
    """Every step with its time, who took it, and what was decided."""
    from rich.text import Text

    head = [("mail", f"{way.id}" if way.id != way.message_id else "Postfix's log does not have it")]
    head += [("Message-ID", f"<{way.message_id}>")] if way.message_id else []
    head += [("from", _sender(way)), ("to", ", ".join(way.recipients) or "-")]
    for label, text in head:
        out.lines([Text.assemble((f"{label:14}", "bold"), plain(text))])
    out.lines([Text.assemble((f"{'result':14}", "bold"), (way.result, _style(way.result))), Text()])
    for step in way.steps:
        if step.decided == mail_log.LINK:
            continue
        front = Text.assemble(clock(step.at), " ", (f"{step.service:15}", service_style(step.service)))
        style = STYLES.get(step.decided, "")
        out.lines(wrapped(front, step.text, out.console.width, style))
    hint = next((text for word, text in NEXT.items() if way.result.startswith(word)), "")
    if hint and way.id != way.message_id:
        out.item("next", hint.format(id=way.id))


def show_list(out: Output, ways: list[Way]) -> None:
    """The newest last, a line each, to choose from."""
    from rich.text import Text

    for way in ways:
        to = f"{way.recipients[0]}{f' +{len(way.recipients) - 1}' if len(way.recipients) > 1 else ''}"
        front = Text.assemble(
            way.steps[0].at.astimezone().strftime("%d %b %H:%M:%S "), (f"{way.id or '-':16}", "bold")
        )
        front.append(f" {way.result:10}", _style(way.result))
        out.lines(wrapped(front, f"{_sender(way)} to {to if way.recipients else '-'}", out.console.width))
    out.item("next", "make trace ID=… traces one of them")


def _sender(way: Way) -> str:
    return "-" if way.sender is None else way.sender or "<> (a report)"


def _style(result: str) -> str:
    return STYLES.get(result.split()[0] if result else "", "")
