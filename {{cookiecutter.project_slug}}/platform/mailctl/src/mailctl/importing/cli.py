"""`mailctl import`: old mail, and the accounts of another mail server. Work is imported when it runs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailctl.accounts.api import YesOption, accounts, agree, many
from mailctl.core.context import Context, JsonOption, RepoOption, command, group
from mailctl.core.errors import Misuse, Problem, Refused
from mailctl.core.stack import LocalOption, stack

if TYPE_CHECKING:
    from mailctl.importing.run import Wanted

app = group("Move in: mail from other servers and files, accounts of another mail server.")
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="Of an old server with a CA of its own.")
]


@app.command()
def mail(
    person: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose mailbox here it goes into.")],
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="imaps://HOST, a Maildir, an mbox, a folder with some.")
    ],
    login: Annotated[str, typer.Option("--login", help="The name to log in with; default: ADDRESS.")] = "",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="Holds the password, mode 0600.")
    ] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from stdin.")] = False,
    ca: CaOption = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import one person's mail, again and again until the MX switch: only what is new there is added."""
    from mailctl.importing import people

    with command(repo, as_json) as context:
        password = ""
        if password_file:
            password = people.secret(password_file, "--password-file").removesuffix("\n")
        elif password_stdin:
            password = sys.stdin.readline().removesuffix("\n")
        elif "://" in source and sys.stdin.isatty():
            password = typer.prompt("Password", hide_input=True, err=True)
        _bring(stack(context, local), [people.wanted(person, source, login or person, password, ca)])


@app.command("people")
def many_people(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV: address, source, login, password.")],
    ca: CaOption = None,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import the mail of everybody in a CSV file of mode 0600; who fails does not stop the others."""
    from mailctl.importing import people

    with command(repo, as_json) as context:
        _bring(stack(context, local), people.read(file, ca))


@app.command()
def end(
    people: Annotated[list[str] | None, typer.Argument(metavar="ADDRESS...", help="Whose imports.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Of everybody.")] = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """After the last import: remove what it keeps to import again. Mail in the mailboxes stays."""
    from mailctl.core.disk_locks import alone
    from mailctl.importing import memory

    with command(repo, as_json) as outer:
        context = stack(outer, local)
        if bool(people) == everybody:
            raise Misuse(Problem("ADDRESS", "is missing or given with --all", "name people, or use --all"))
        there = memory.everybody(context)
        chosen = there if everybody else [person.strip().lower() for person in people or ()]
        if wrong := [person for person in chosen if person not in there]:
            fix = f"there are: {', '.join(there) or 'none'}"
            raise Refused(*(Problem("ADDRESS", "has no import", fix, value=person) for person in wrong))
        with alone(context, "import"):
            for person in chosen:
                memory.forget(context, person)
                context.out.row("ended", person)
        context.finish({"ok": True, "ended": chosen})


@app.command("accounts")
def bring_accounts(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="mailcow, mailu or docker-mailserver.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Its dump, export or files.")],
    yes: YesOption = False,
    local: LocalOption = False,
    repo: RepoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take over accounts and aliases; what is here already stays as it is. First you are asked."""
    from mailctl.importing import dumps

    with accounts(local, repo, as_json) as (context, api):
        if kind not in dumps.KINDS:
            raise Misuse(Problem("KIND", "is not known", f"one of {', '.join(dumps.KINDS)}", value=kind))
        found = dumps.KINDS[kind](files)
        here = {row["email"] for row in api.rows("/mailboxes")} | {
            row["source"] for row in api.rows("/aliases")
        }
        known = [each.address for each in found.accounts] + [source for source, _, _ in found.aliases]
        found.accounts = [each for each in found.accounts if each.address not in here]
        found.aliases = [each for each in found.aliases if each[0] not in here]
        for name, why in found.skipped:
            context.out.warn(f"{name}: {why}")
        document: dict[str, Any] = {
            "users": len(found.accounts),
            "aliases": len(found.aliases),
            "there": sorted(here & set(known)),
            "skipped": [{"name": name, "why": why} for name, why in found.skipped],
            "passwords": [],
        }
        context.out.row("there", f"{len(document['there'])} addresses are here already", 10)
        if found.accounts or found.aliases:
            document["passwords"] = _add(context, api, found, yes)
        context.finish({"ok": True, **document})


def _add(context: Context, api: Any, found: Any, yes: bool) -> list[dict[str, str]]:
    """Add them, all or none; returns the passwords that were generated."""
    import csv
    import io

    from mailctl.importing import dumps

    kept = sum(bool(each.password) for each in found.accounts)
    what = f"{many(len(found.accounts), 'user')} ({kept} with their password) and "
    what += many(len(found.aliases), "alias")
    agree(context, yes, "add", what)
    for domain in found.domains:
        if not api.known("/domains", domain):
            api.call("POST", "/domains", {"name": domain})
            context.out.row("domain", f"{domain} added")
    text = io.StringIO()
    csv.writer(text).writerows(dumps.table(found))
    done = api.call("POST", "/import", text=text.getvalue(), dry_run="false")
    for row in done["passwords"]:
        context.out.row(row["email"], row["password"], 40)
    if done["passwords"]:
        context.out.show(
            "New passwords, shown only this once; a password link in the administration is better."
        )
    context.out.show(f"{what} added.")
    return list(done["passwords"])


def _bring(context: Context, people: "list[Wanted]") -> None:
    """Import one after another, and say for each folder what is there and here."""
    from mailctl.core.disk_locks import alone
    from mailctl.core.progress import bar
    from mailctl.importing import run

    done: list[dict[str, Any]] = []
    with alone(context, "import"), bar(context.out, "import") as shown:
        for one in people:

            def tell(text: str, number: int, total: int, who: str = one.address) -> None:
                shown(f"{who}: {text}", number, total)

            try:
                row = run.bring(context, one, tell)
            except Refused as refusal:
                if len(people) == 1:
                    raise
                row = {"address": one.address, "ok": False, "folders": []}
                row["problems"] = [problem.as_dict() for problem in refusal.problems]
            done.append(row)
    for row in done:
        _show(context, row)
    context.finish({"ok": all(row["ok"] for row in done), "people": done})


def _show(context: Context, row: dict[str, Any]) -> None:
    from rich.table import Table

    from mailctl.core.format import plain

    table = Table("folder there", "mails", "added", "earlier", "in mailbox", "folder here", "mails", box=None)
    for each in row["folders"]:
        counts = (each.get(name, 0) for name in ("there", "added", "before", "present"))
        here = each["to"] + (" (renamed)" if each["renamed"] else "")
        table.add_row(plain(each["folder"]), *map(str, counts), here, str(each.get("here", "-")))
    context.out.show(row["address"], *([table] if row["folders"] else []))
    for problem in row.get("problems", ()):
        what = f"{problem['field']} {problem.get('value', '')}".strip()
        context.out.warn(f"{row['address']}: {what}: {problem['wrong']}; {problem['fix']}")
