"""`mailctl search`: the indexes that Dovecot searches mail with. Work is imported when a command runs."""

from typing import Annotated

import typer

from mailctl.core.context import JsonOption, RepoOption, command, group
from mailctl.core.errors import Misuse, Problem
from mailctl.core.stack import LocalOption

app = group("The search indexes of the mailboxes: build them again.")
PeopleArgument = Annotated[
    list[str] | None, typer.Argument(metavar="PERSON...", help="Whose indexes: addresses of mailboxes.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Of every mailbox.")]


@app.command()
def rebuild(
    people: PeopleArgument = None,
    everybody: AllOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build the search index of mailboxes again: after a restore, or when a search misses mail."""
    from mailctl.core.progress import bar
    from mailctl.core.stack import runtime
    from mailctl.search import rebuild as work

    with command(repo, as_json) as context, runtime(context, local) as server:
        if bool(people) == everybody:
            raise Misuse(Problem("person", "is missing or given with --all", "name people, or use --all"))
        chosen = work.everybody(server) if everybody else work.known(server, people or ())
        with bar(context.out, "indexing") as shown:
            work.rebuild(server, chosen, lambda person, done: shown(person, done, len(chosen)))
        context.out.show(f"The search indexes of {len(chosen)} mailboxes were built again.")
        context.finish({"ok": True, "rebuilt": chosen})
