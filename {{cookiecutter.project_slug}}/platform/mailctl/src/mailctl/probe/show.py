"""The result for people: what came of it, the hops with their seconds, and whether senders try again."""

from mailctl.core.checklist import FAILED, OK, Line, texts
from mailctl.core.output import Output
from mailctl.probe.run import Result


def show(out: Output, result: Result) -> None:
    """Print it; silent in JSON mode."""
    lines = [Line("probe", OK if result.ok else FAILED, result.text, result.fix)]
    if result.retry:
        lines.append(Line("retry", OK, str(result.retry["text"])))
    out.lines(texts(lines, out.console.width))
    for hop in result.judgement.hops:
        out.row(f"{hop.seconds:>5} s", hop.by, 8)
