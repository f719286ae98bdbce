"""`mailctl edge spool`: what waits at the edge, by the Worker's report. The work is imported when it runs."""

from typing import TYPE_CHECKING, Any

from mailctl.core.context import JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.output import Output

# Run in the container of mailserver-api, which has the token.
ASK = """import urllib.request as u
token = open('/run/secrets/mailserver_api_tokens').read().split()[0]
call = u.Request('http://127.0.0.1:8000/v1/spool', headers={'Authorization': 'Bearer ' + token})
print(u.urlopen(call, timeout=10).read().decode())"""
# The Worker reports each minute.
LATE_SECONDS = 300
# It counts no further: one list of a bucket has so many objects at most.
MOST = 1000


def run(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Show what waits in the edge's spool, since when, and what was refused after its sender heard yes."""
    from mailctl.core.runtime import as_json as parsed
    from mailctl.core.stack import runtime

    with command(repo, as_json) as context, runtime(context, local) as server:
        found = parsed(server.inside("mailserver-api", ["python", "-c", ASK]))
        show(context.out, found)
        context.finish({"ok": True, **found})


def show(out: "Output", found: dict[str, Any]) -> None:
    """A row each for what waits and for the report, then two lines for each refused mail."""
    import time

    from rich.text import Text

    from mailctl.core.format import duration, plain, size, wrapped

    now = time.time()
    if found["at"] is None:
        out.row("spool", "the Email Worker has not reported yet: it does when edge/edge.yml has worker.spool")
        return
    count = f"{found['waiting']}{' or more' if found['waiting'] >= MOST else ''}"
    waits = f"{count} ({size(found['bytes'])}), the oldest for {duration(now - (found['oldest'] or now))}"
    out.row("waiting", waits if found["waiting"] else "nothing")
    out.row("reported", f"{duration(now - found['at'])} ago")
    if now - found["at"] > LATE_SECONDS:
        out.warn(
            "the Email Worker reports each minute: make edge-plan shows whether its cron trigger is there"
        )
    for mail in found["refused"]:
        front = Text.assemble(("refused", "red"), f" {duration(now - mail['at']):>7}")
        known = "verified" if mail["authenticated"] else "not verified"
        out.lines(wrapped(front, f"{mail['from'] or '<>'} ({known}) to {mail['to']}", out.console.width))
        out.lines(wrapped(Text(" " * 15), plain(mail["text"]), out.console.width))
    if found["refused"]:
        out.item("next", "the mails are in the bucket, below refused/, until it deletes them: docs/edge.md")
