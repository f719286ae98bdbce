"""Does a plan: in its order, one step after the other, and stops at the first that fails."""

from collections.abc import Callable
from typing import Any

from mailctl.core.errors import Problem, Refused
from mailctl.edge.cloud import explained
from mailctl.edge.plan import CONFLICT, Change, Plan

AGAIN = "make edge-apply"


def refuse_conflicts(plan: Plan) -> None:
    """Nothing is begun while something of somebody else is in the way. Raises Refused, with what to paste."""
    conflicts = plan.noted(CONFLICT)
    names = dict.fromkeys(f"--adopt {note.name}" for note in conflicts if not note.fix)
    fix = f"remove or rename it at Cloudflare, or have it taken over: {AGAIN} ARGS='{' '.join(names)}'"
    if conflicts:
        raise Refused(
            *(Problem(f"{note.kind} {note.name}", note.text, note.fix or fix) for note in conflicts)
        )


def apply(plan: Plan, report: Callable[[Change], None]) -> list[Change]:
    """Do every change and say so. Raises Refused with where it stands when one fails."""
    refuse_conflicts(plan)
    done: list[Change] = []
    for change in plan.changes:
        try:
            with explained(f"{change.action} {change.kind} {change.name}", change.scope):
                change.run()
        except Refused as refusal:
            raise stopped(plan, done, refusal) from None
        done.append(change)
        report(change)
    return done


def stopped(plan: Plan, done: list[Change], refusal: Refused) -> Refused:
    """The refusal with what was done, what failed and what is left: the next run goes on from there."""
    failed, *left = plan.changes[len(done) :]
    rows = (
        [("done", change) for change in done]
        + [("failed", failed)]
        + [("not yet", change) for change in left]
    )
    lines = [f"{word:8} {change.action} {change.kind} {change.name}" for word, change in rows]
    problems = [
        Problem(p.field, p.wrong, p.fix, value=p.value, next=f"{AGAIN} (it goes on from here)")
        for p in refusal.problems
    ]
    return Refused(*problems, details="\n".join(lines))


def summary(done: list[Change]) -> dict[str, Any]:
    return {"ok": True, "done": [change.as_dict() for change in done]}
