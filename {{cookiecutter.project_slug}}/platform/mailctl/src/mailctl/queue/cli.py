"""`mailctl queue`: what waits, why, and what to do about it. Work is imported when a command runs."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command, group
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.mail_queue import Waiting
    from mailctl.core.runtime import Runtime

app = group("The mail queue: list it, try mail again, hold, release or delete one.", no_args_is_help=False)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A queue id, as the list shows it.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
# What to do with a mail: the words for Postfix, and the word for what was done.
VERBS = {
    "retry": (("postqueue", "-i"), "tried now"),
    "hold": (("postsuper", "-h"), "held until it is released"),
    "release": (("postsuper", "-H"), "released"),
    "delete": (("postsuper", "-d"), "deleted"),
}


@app.callback(invoke_without_command=True)
def bare(
    called: typer.Context, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """The mail queue: what waits (list), and what to do about it."""
    if called.invoked_subcommand is None:
        show(local, repo, as_json)


@app.command("list")
def show(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """List what waits, the oldest first, with the reason of each delay."""
    from mailctl.core.mail_queue import waiting
    from mailctl.core.stack import runtime
    from mailctl.queue.show import show_queue

    with command(repo, as_json) as context, runtime(context, local) as server:
        found = waiting(server)
        show_queue(context.out, found)
        context.finish({"ok": True, "mails": [mail.as_dict() for mail in found]})


@app.command("show")
def one(
    id: IdArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Show one mail that waits: its envelope, its header, and why it waits."""
    from mailctl.core.stack import runtime
    from mailctl.queue.show import show_mail

    with command(repo, as_json) as context, runtime(context, local) as server:
        mail = _find(server, id)
        header = server.inside("postfix", ["postcat", "-hq", mail.id])
        show_mail(context.out, mail, header)
        context.finish({"ok": True, "mail": mail.as_dict(), "header": header})


@app.command()
def flush(local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False) -> None:
    """Try everything that waits, now."""
    from mailctl.core.mail_queue import HELD, waiting
    from mailctl.core.stack import runtime

    with command(repo, as_json) as context, runtime(context, local) as server:
        tried = [mail for mail in waiting(server) if mail.queue != HELD]
        server.inside("postfix", ["postqueue", "-f"])
        context.out.show(f"{len(tried)} mails are tried now.")
        if tried:
            context.out.item("next", "make queue shows what still waits, and why")
        context.finish({"ok": True, "done": "flush", "mails": [mail.id for mail in tried]})


@app.command()
def retry(
    id: IdArgument, local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> None:
    """Try one mail, now."""
    _act("retry", id, True, local, repo, as_json)


@app.command()
def hold(
    id: IdArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Keep one mail in the queue, untried, until it is released."""
    _act("hold", id, yes, local, repo, as_json)


@app.command()
def release(
    id: IdArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a held mail go on."""
    _act("release", id, yes, local, repo, as_json)


@app.command()
def delete(
    id: IdArgument,
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete one mail, for good; nobody is notified."""
    _act("delete", id, yes, local, repo, as_json)


def _act(verb: str, id: str, yes: bool, local: bool, repo: RepoOption, as_json: bool) -> None:
    from mailctl.core.stack import runtime

    words, done = VERBS[verb]
    with command(repo, as_json) as context, runtime(context, local) as server:
        mail = _find(server, id)
        if not yes:
            _agree(context, verb, mail)
        server.inside("postfix", [*words, mail.id])
        context.out.show(f"{mail.id}: {done}.")
        if verb in ("retry", "release"):
            context.out.item("next", f"make trace ID={mail.id}")
        context.finish({"ok": True, "done": verb, "mails": [mail.id]})


def _find(server: "Runtime", id: str) -> "Waiting":
    """The mail with exactly this id: Postfix would take ALL as well. Raises Refused when it does not wait."""
    from mailctl.core.errors import Problem, Refused
    from mailctl.core.mail_queue import waiting

    mail = next((mail for mail in waiting(server) if mail.id == id), None)
    if mail is None:
        fix = "make queue lists what waits; make trace ID=… shows what happened to a mail"
        raise Refused(Problem("ID", "does not wait in the queue", fix, value=id))
    return mail


def _agree(context: Context, verb: str, mail: "Waiting") -> None:
    """Raises Misuse where nobody can be asked, Refused when the answer is no."""
    from mailctl.core.errors import Misuse, Problem, Refused

    if context.out.as_json or not sys.stdin.isatty():
        raise Misuse(
            Problem(verb, "there is no terminal to ask on", f"add --yes to {verb} it", value=mail.id)
        )
    what = f"{verb} the mail from {mail.sender or '<>'} to {', '.join(mail.recipients)}?"
    if not typer.confirm(what[0].upper() + what[1:]):
        raise Refused(Problem(verb, "not confirmed; nothing was changed", "make queue", value=mail.id))
