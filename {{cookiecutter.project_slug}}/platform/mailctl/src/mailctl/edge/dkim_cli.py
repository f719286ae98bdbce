"""`mailctl dkim`: the keys that rspamd signs with. The work is imported when a command runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command, group

HELP = """DKIM keys: which one signs, whether DNS has it, and a new one in place of it.

Selectors are mailctl1, mailctl2, … Two overlap while one takes over from the other, so that mail on its way
stays valid.
"""

app = group(HELP)

ResolverOption = Annotated[
    str | None,
    typer.Option("--resolver", metavar="ADDRESS", help="Ask only this DNS server, such as 1.1.1.1."),
]


@app.command()
def status(resolver: ResolverOption = None, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show each key, whether it signs and is published, and where a rotation stands."""
    from mailctl.edge import desired
    from mailctl.edge.dns_view import View
    from mailctl.edge.host import Dkim, SecretFiles
    from mailctl.edge.published import compare
    from mailctl.edge.rotation import STATE_FILE, load

    with command(repo, as_json) as context:
        domain = desired.load(context.repo)["dkim"]["domain"]
        view, keys = View(resolver), []
        for key in Dkim(context, domain).keys:
            name = f"{key.selector}._domainkey.{domain}"
            found = compare(view, "TXT", name, [key.record])
            keys.append({"selector": key.selector, "signs": key.signs, "published": found.ok, "name": name})
            state = "signs" if key.signs else "idle"
            context.out.row(key.selector, f"{state:6} {'published' if found.ok else found.text}  {name}")
        rotation = load(SecretFiles.of(context).content(STATE_FILE), domain)
        if rotation:
            context.out.row(
                "rotation", f"{rotation.old} → {rotation.new}: {rotation.step} since {rotation.since}"
            )
        under_way = vars(rotation) if rotation else None
        context.out.document({"ok": True, "domain": domain, "keys": keys, "rotation": under_way})


@app.command()
def rotate(
    wait: Annotated[
        float, typer.Option("--wait", help="Seconds to wait until DNS has the new record.")
    ] = 300.0,
    resolver: ResolverOption = None,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Begin a rotation, or go on with the one that is under way; safe to repeat and to interrupt.

    The new key is made, published, seen in DNS and only then used. Seven days later the same command retires
    the old one.
    """
    from mailctl.edge.compare import begin
    from mailctl.edge.host import Dkim
    from mailctl.edge.rotation import USED, Rotation

    with command(repo, as_json) as context:
        session = begin(context)
        dkim = Dkim(context, session.edge["dkim"]["domain"])
        state = Rotation(session, dkim, resolver, context.out.note).run(wait)
        if state.step == USED:
            day = state.retire_at.date().isoformat()
            context.out.row("next", f"{state.old} stays for mail on its way; after {day}: make dkim-rotate")
        context.out.document({"ok": True, **vars(state)})
