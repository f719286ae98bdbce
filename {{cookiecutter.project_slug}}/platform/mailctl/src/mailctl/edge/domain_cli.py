"""`mailctl domain dns`: each domain's records in public DNS. The work is imported when the command runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.accounts.api import accounts
from mailctl.core.context import Context, JsonOption, RepoOption
from mailctl.core.stack import LocalOption
from mailctl.edge.dkim_cli import ResolverOption

if TYPE_CHECKING:
    from mailctl.accounts.api import Api
    from mailctl.edge.domain_dns import Look


def run(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The domain; without it, all that are enabled.")
    ] = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Exit with 1 only for what was otherwise at the last look.")
    ] = False,
    resolver: ResolverOption = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look up each domain's DNS records and DKIM keys, and leave the result on its page.

    Without NAME, usermgmt gets the keys of Cloudflare Access too, if edge/edge.yml lets people log in by it.
    Exit code 1: something is not as it should be.
    """
    from mailctl.edge.dns_view import View
    from mailctl.edge.domain_dns import look_up, show

    with accounts(local, repo, as_json) as (context, api):
        rows = [api.one("/domains", "name", name)] if name else [*api.rows("/domains")]
        looks = []
        for row in rows:
            if name or row["active"]:
                looks.append(look_up(api, row, View(resolver)))
                show(context.out, looks[-1])
        ok = all(look.ok for look in looks)
        trouble = "" if name else _keys_of_access(context, api)
        ok = ok and not trouble
        if not name:
            _leave(context, looks, trouble)
        context.out.document({"ok": ok, "domains": [look.as_dict() for look in looks]})
        if trouble or (any(look.changed for look in looks) if changed else not ok):
            raise typer.Exit(1)


def _keys_of_access(context: Context, api: "Api") -> str:
    """Hand in the keys; what went wrong, which must not keep the look at DNS from its result."""
    from mailctl.core.errors import Refused
    from mailctl.edge.desired import FILE, load
    from mailctl.edge.identity import hand_in_keys

    try:
        if (context.repo / FILE).is_file() and hand_in_keys(api.server, load(context.repo)):
            context.out.show("usermgmt has the keys of Cloudflare Access.")
    except Refused as refusal:
        for each in refusal.problems:
            context.out.warn(f"{each.field}: {each.wrong}; {each.fix}")
        return str(refusal)
    return ""


def _leave(context: Context, looks: "list[Look]", trouble: str) -> None:
    """For the monitor, where it has a folder."""
    import time
    from contextlib import suppress

    from mailctl.core.errors import Refused
    from mailctl.core.monitoring import leave

    wrong = [
        f"{one.type} {one.name}: {one.state}" for look in looks for one in look.records if one.state != "ok"
    ]
    wrong += [trouble] if trouble else []
    with suppress(Refused, OSError):
        leave(context, "dns", {"at": time.time(), "ok": not wrong, "text": "; ".join(wrong)})
