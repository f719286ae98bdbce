"""`mailctl edge`: plan, apply and check what lives at Cloudflare. Work is imported when a command runs."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group

SOMETHING_TO_DO = 2

HELP = """What lives at Cloudflare: DNS, Email Routing, the Email Worker, the tunnel, Access.

edge/edge.yml says how it shall be. plan compares, apply changes, check tries it from outside.

\b
The API token (CLOUDFLARE_API_TOKEN in .env, then make setup) needs exactly these permissions:
  Zone > Zone > Read                         Zone > DNS > Edit
  Zone > Zone Settings > Edit                Zone > Email Routing Rules > Edit
  Account > Workers Scripts > Edit           Account > Cloudflare Tunnel > Edit
  Account > Access: Apps and Policies > Edit
  Account > Access: Organizations, Identity Providers, and Groups > Edit
  Account > Email Routing Addresses > Edit   Account > Workers KV Storage > Edit
  Account > Workers R2 Storage > Edit        (only with worker.spool in edge/edge.yml)
For plan alone, Read of each is enough.
"""

app = group(HELP)

AdoptOption = Annotated[
    list[str] | None,
    typer.Option("--adopt", metavar="NAME", help="Take over what is there under this name; may be repeated."),
]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Also delete what is ours and no longer in the file.")
]


@app.command()
def plan(
    adopt: AdoptOption = None,
    prune: PruneOption = False,
    record: Annotated[
        Path | None,
        typer.Option("--record", metavar="FOLDER", help="Keep Cloudflare's answers there, without secrets."),
    ] = None,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what apply would change. Exit code: 0 nothing to do, 2 something to do, 1 refused."""
    from mailctl.edge.plan import CONFLICT, LATER

    with command(repo, as_json) as context:
        found = _compare(context, adopt, prune, record)
        context.out.document({"ok": True, **found.as_dict()})
        if found.changes:
            context.out.note(
                f"to do exactly this: make edge-apply ARGS='{_arguments(found.id, adopt, prune)}'"
            )
        to_do = bool(found.changes or found.noted(CONFLICT) or found.noted(LATER))
    raise typer.Exit(SOMETHING_TO_DO if to_do else 0)


@app.command()
def apply(
    adopt: AdoptOption = None,
    prune: PruneOption = False,
    plan_id: Annotated[
        str | None, typer.Option("--plan", metavar="ID", help="Do this plan or nothing.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring Cloudflare in line with the file: what the plan shows, in that order, until a step fails."""
    from mailctl.edge.apply import apply as do
    from mailctl.edge.apply import refuse_conflicts, summary

    with command(repo, as_json) as context:
        found = _compare(context, adopt, prune)
        refuse_conflicts(found)
        if found.changes:
            _agree(context, found.id, plan_id, yes)
        done = do(
            found, lambda change: context.out.note(f"done: {change.action} {change.kind} {change.name}")
        )
        context.out.document(summary(done))
        if any(change.kind == "tunnel token" for change in done):
            context.out.row("next", "put COMPOSE_PROFILES=edge into .env, then: make deploy")
        elif done:
            context.out.row("next", "make edge-check; once people send mail: make probe")
        if asked := [change.name for change in done if change.kind == "destination address"]:
            context.out.row("then", f"click the link in the mail to {', '.join(asked)}, and: make edge-apply")


@app.command()
def check(
    mail: Annotated[bool, typer.Option(help="Send a signed test mail through the whole path.")] = True,
    to: Annotated[
        str | None, typer.Option("--to", help="Its recipient; default: who gets postmaster's mail.")
    ] = None,
    door: Annotated[
        str | None,
        typer.Option("--door", metavar="URL", help="Post it there instead of to API_URL of the file."),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for the test mail.")] = 60.0,
    resolver: Annotated[
        str | None,
        typer.Option("--resolver", metavar="ADDRESS", help="Ask this DNS server, such as 1.1.1.1."),
    ] = None,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare live DNS with the file and with the key that signs, and send a test mail through it all."""
    from mailctl.edge.check import check as run
    from mailctl.edge.check import show

    with command(repo, as_json) as context:
        results = run(context, mail, to, door, wait, resolver)
        show(context.out, results)
        ok = all(result.ok for result in results)
        context.out.document({"ok": ok, "results": [result.as_dict() for result in results]})
    raise typer.Exit(0 if ok else 1)


def _compare(context: Context, adopt: list[str] | None, prune: bool, record: Path | None = None) -> Any:
    from mailctl.edge.compare import begin, compare
    from mailctl.edge.show import show

    session = begin(context, adopt or (), prune, record)
    found = compare(session, context)
    show(context.out, found)
    return found


def _arguments(plan_id: str, adopt: list[str] | None, prune: bool) -> str:
    words = [
        f"--plan {plan_id}",
        *(f"--adopt {name}" for name in adopt or ()),
        *(["--prune"] if prune else []),
    ]
    return " ".join(words)


def _agree(context: Context, found: str, wanted: str | None, yes: bool) -> None:
    """Go on only with the plan that was meant. Raises Misuse when nobody can be asked."""
    from mailctl.core.errors import Misuse, Problem, Refused

    if wanted and wanted != found:
        wrong, fix = (
            "Cloudflare or the file has changed since: the plan is another one",
            "look at it: make edge-plan",
        )
        raise Refused(Problem("--plan", wrong, fix, value=wanted))
    if wanted or yes:
        return
    if context.out.as_json or not sys.stdin.isatty():
        wrong, fix = (
            "there is no terminal to ask on",
            f"make edge-apply ARGS='--plan {found}', or --yes for any plan",
        )
        raise Misuse(Problem("apply", wrong, fix))
    if not typer.confirm("Do this?"):
        raise Refused(Problem("apply", "not confirmed; nothing was changed", "make edge-apply"))
