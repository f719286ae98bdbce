"""`mailctl certificate`: the one that phones trust. The work is imported when the command runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command


def run(
    force: Annotated[bool, typer.Option("--force", help="Also when the one there is good.")] = False,
    resolver: Annotated[
        str | None,
        typer.Option(
            "--resolver", metavar="ADDRESS", help="Ask only this DNS server whether the proof is there."
        ),
    ] = None,
    wait: Annotated[float, typer.Option("--wait", help="Seconds to wait for DNS.")] = 120.0,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Obtain or renew the certificate for mail programs, when it is due; no connection ends by that.

    Of Let's Encrypt (or ACME_DIRECTORY), by a DNS record that ACME_CLOUDFLARE_TOKEN may make. A timer runs it
    every day.
    """
    from mailctl.certificate.renew import NO_TOKEN, OFF, renew

    with command(repo, as_json) as context:
        done = renew(context, force, resolver, wait)
        if done.state == OFF:
            context.out.show("Mail programs are off (client_access): there is nothing to do.")
        elif done.state == NO_TOKEN:
            fix = "put ACME_CLOUDFLARE_TOKEN into .env, then: make setup (docs/mail-programs.md)"
            context.out.warn(f"{done.host} has a certificate that phones do not trust; {fix}")
        else:
            context.out.row(done.host, f"{done.state}, valid until {done.ends:%Y-%m-%d}")
        context.out.document(done.as_dict())
