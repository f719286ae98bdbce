"""`mailctl mailbox`: where mailboxes are stored. Work is imported when a command runs."""

import threading
import time
from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command, group

app = group("Where mailboxes are stored, on several hosts.")
AddressesArgument = Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="Mailboxes.")]
ToOption = Annotated[str, typer.Option("--to", metavar="SHARD", help="Where they shall be.")]
WaitOption = Annotated[
    float, typer.Option("--wait", help="Seconds to wait until people are served from there.", min=0)
]
POLL_SECONDS = 1.0
#: Where the mover has brought a mailbox when people are served from the target, and everything is there.
DONE = ("merged",)


@app.command()
def move(
    addresses: AddressesArgument,
    to: ToOption,
    wait: WaitOption = 600.0,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move mailboxes to another shard while people use them. Run again, it goes on where it was."""
    with command(repo, as_json) as context:
        from mailctl.swarm import shards

        wanted = [address.strip().lower() for address in addresses]
        state = shards.ask(context, move={"addresses": wanted, "to": to})
        end, pause = time.monotonic() + wait, threading.Event()
        while True:
            moves = {each["email"]: each for each in state["moves"]}
            under_way = [each for each in wanted if each in moves and moves[each]["state"] not in DONE]
            if not under_way or time.monotonic() > end:
                break
            pause.wait(POLL_SECONDS)
            state = shards.ask(context)
        for address in wanted:
            found = moves.get(address, {"state": "there", "trouble": ""})
            context.out.row(address, " ".join(filter(None, (found["state"], found["trouble"]))), 30)
        context.finish(
            {
                "ok": not under_way,
                "moved": [each for each in wanted if each not in under_way],
                "left": under_way,
            }
        )
