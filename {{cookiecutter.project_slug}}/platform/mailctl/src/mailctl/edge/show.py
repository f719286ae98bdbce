"""A plan for people: one block a change, colours on a terminal only."""

from collections.abc import Mapping

from rich.text import Text

from mailctl.core.output import Output
from mailctl.edge import plan as words
from mailctl.edge.plan import Change, Note, Plan

SIGNS = {words.CREATE: ("+", "green"), words.UPDATE: ("~", "yellow"), words.ADOPT: ("~", "magenta")}
SIGNS |= {words.DELETE: ("-", "red")}
HEADS = {
    words.CONFLICT: "In the way, and not ours",
    words.UNNEEDED: "Ours, and no longer in edge/edge.yml (removed with --prune)",
    words.BY_HAND: "Not there yet, and yours to get",
    words.WAITING: "Not to be known from here",
    words.UNCONFIRMED: "Waits for somebody's confirmation",
    words.LATER: "With the switch of the MX records",
    words.FOREIGN: "Not ours, left alone",
}
# Of somebody else's records so many are listed; --json has all.
FOREIGN_LINES = 10


def show(out: Output, plan: Plan) -> None:
    for change in plan.changes:
        out.lines(_change(change))
    for why, head in HEADS.items():
        notes = plan.noted(why)
        if notes:
            out.lines([Text(f"{head}:", style="bold"), *_notes(why, notes)])
    out.lines([Text(tally(plan), style="bold")])


def tally(plan: Plan) -> str:
    if not plan.changes and plan.noted(words.LATER):
        return "Nothing to do before the switch of the MX records."
    if not plan.changes:
        return "Nothing to do: Cloudflare is as edge/edge.yml says."
    counts = {action: sum(c.action == action for c in plan.changes) for action in SIGNS}
    text = ", ".join(f"{number} to {action}" for action, number in counts.items() if number)
    return f"Plan {plan.id}: {text}."


def _change(change: Change) -> list[Text]:
    sign, style = SIGNS[change.action]
    head = Text(f"{sign} {change.action} {change.kind} {change.name}", style=style)
    return [head, *_fields(change.before, change.after)]


def _fields(before: Mapping[str, str], after: Mapping[str, str]) -> list[Text]:
    """The fields that differ: what is there and what will be."""
    lines = []
    for key in dict.fromkeys([*before, *after]):
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        lines += [Text(f"    {key}: {part}", style="red") for part in _parts("-", old)]
        lines += [Text(f"    {key}: {part}", style="green") for part in _parts("+", new)]
    return lines


def _parts(sign: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{sign} {line}" for line in value.split("\n")]


def _notes(why: str, notes: list[Note]) -> list[Text]:
    shown = notes if why != words.FOREIGN else notes[:FOREIGN_LINES]
    lines = [Text(f"  {n.kind} {n.name}: {n.text}{n.fix and '; '}{n.fix}") for n in shown]
    if len(shown) < len(notes):
        lines.append(Text(f"  and {len(notes) - len(shown)} more (--json lists them)"))
    return lines
