"""usermgmt's JSON API, called inside its container: whoever may do that needs no token."""

import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec
from urllib.parse import urlencode

import typer

from mailctl.core.context import Context, JsonOption, RepoOption, command
from mailctl.core.stack import LocalOption

if TYPE_CHECKING:
    from mailctl.core.runtime import Runtime

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
MissingOption = Annotated[
    bool, typer.Option("--if-missing", help="Succeed and change nothing if it is there already.")
]
SearchOption = Annotated[str, typer.Option("--search", "-s", help="Only those with this text in them.")]
THERE = "is there already; nothing was changed"
# An import may hash a thousand passwords on one core.
LIMIT_SECONDS = 600.0
#: Rows of one answer, as many as usermgmt gives.
PART = 500


class Api:
    """What the commands ask of usermgmt."""

    def __init__(self, server: "Runtime") -> None:
        self.server = server

    def call(self, method: str, path: str, body: Any = None, text: str = "", **query: Any) -> Any:
        """The answer's body; `body` is sent as JSON, `text` as CSV. Raises Refused as usermgmt does."""
        from mailctl.core.runtime import as_json

        words = ["usermgmt", "api", method, f"{path}?{urlencode(query)}" if query else path]
        words += ["--body-stdin"] if text or body is not None else []
        words += ["--type", "text/csv"] if text else []
        sent = text or ("" if body is None else json.dumps(body))
        return self._body(as_json(self.server.inside("usermgmt", words, sent, LIMIT_SECONDS)))

    @staticmethod
    def _body(answer: dict[str, Any]) -> Any:
        """What an answer brings. Raises Refused as usermgmt does."""
        from mailctl.core.errors import Problem, Refused

        if answer["status"] < 400:
            return answer["body"]
        problems = answer["body"]["problems"]
        for each in problems:
            each["field"] = f"line {each['line']}, {each['field']}" if "line" in each else each["field"]
        raise Refused(*(Problem(p["field"], p["wrong"], p["fix"], p["value"] or None) for p in problems))

    def rows(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        """Every row of a list: one process in the container looks for the next ones while these are shown."""
        from mailctl.core.errors import Problem, Refused

        asked, following = f"{path}?{urlencode({'limit': PART, **query})}", ""
        for line in self.server.stream("usermgmt", ["usermgmt", "api", "GET", asked, "--all"]):
            part = self._body(json.loads(line))
            yield from part["items"]
            following = part["next"]
        if following is not None:
            wrong = "ended before the end of the list"
            raise Refused(Problem("usermgmt", wrong, "make logs SERVICE=usermgmt"))

    def known(self, path: str, value: str, **query: Any) -> list[dict[str, Any]]:
        """What has exactly this name or address: one row, or those of an alias, or none."""
        found: list[dict[str, Any]] = self.call("GET", path, q=value, exact="true", **query)["items"]
        return found

    def one(self, path: str, field: str, value: str, **query: Any) -> dict[str, Any]:
        """The row whose field has exactly this value. Raises Refused."""
        from mailctl.core.errors import Problem, Refused

        if found := self.known(path, value, **query):
            return found[0]
        kind = {"/mailboxes": "user", "/domains": "domain", "/admins": "admin"}[path]
        kind = f"deleted {kind}" if query else kind
        fix = f".venv/bin/mailctl {kind.split()[-1]} list shows what there is"
        raise Refused(Problem(field, f"there is no such {kind}", fix, value=value))


P = ParamSpec("P")
Work = Callable[Concatenate[Context, Api, P], None]


@contextmanager
def accounts(
    local: LocalOption = False, repo: RepoOption = None, as_json: JsonOption = False
) -> Iterator[tuple[Context, Api]]:
    """A command's body with the API of the server, or of the local trial."""
    from mailctl.core.stack import runtime

    with command(repo, as_json) as context, runtime(context, local) as server:
        yield context, Api(server)


def account_command(app: typer.Typer, name: str | None = None) -> Callable[[Work[P]], Callable[..., None]]:
    """Register a command of `app`: it gets the context and the API, and has the options of all of them."""
    common = inspect.signature(accounts).parameters.values()

    def register(work: Work[P]) -> Callable[..., None]:
        signature = inspect.signature(work)
        own = [*signature.parameters.values()][2:]

        @wraps(work)
        def run(local: bool, repo: RepoOption, as_json: bool, **given: Any) -> None:
            with accounts(local, repo, as_json) as (context, api):
                work(context, api, **given)  # type: ignore[call-arg]

        # Typer reads from it what the command takes.
        run.__signature__ = signature.replace(parameters=[*own, *common])  # type: ignore[attr-defined]
        app.command(name)(run)
        return run

    return register


def agree(context: Context, yes: bool, verb: str, what: str) -> None:
    """Ask first. Raises Misuse where nobody can be asked, Refused when the answer is no."""
    from mailctl.core.errors import Misuse, Problem, Refused

    if yes:
        return
    if context.out.as_json or not sys.stdin.isatty():
        raise Misuse(Problem(verb, "there is no terminal to ask on", f"add --yes to {verb} it", value=what))
    if not typer.confirm(f"{verb[0].upper() + verb[1:]} {what}?"):
        raise Refused(Problem(verb, "not confirmed; nothing was changed", "make status", value=what))


def given_password(wanted: bool) -> str | None:
    """The password on standard input, without its line end; None lets usermgmt generate one."""
    return sys.stdin.read().removesuffix("\n").removesuffix("\r") if wanted else None


def many(number: int, noun: str) -> str:
    """`1 user`, `2 users`."""
    return f"{number} {noun if number == 1 else noun + ('es' if noun.endswith('s') else 's')}"


def show_rows(
    context: Context, kind: str, rows: Iterator[dict[str, Any]], line: Callable[[dict[str, Any]], str]
) -> None:
    """Print a list: a line for each row as it comes, how many on stderr, or all of them as JSON."""
    shown = []
    for row in rows:
        context.out.plain(line(row))
        shown.append(row)
    if not context.out.as_json:
        context.out.note(f"{many(len(shown), kind)}.")
    context.finish({"ok": True, many(2, kind).partition(" ")[2]: shown})


def state(row: dict[str, Any]) -> str:
    """In a word."""
    if row.get("deleted_at"):
        return "deleted"
    return "enabled" if row["active"] else "disabled"


def tell_password(context: Context, password: str | None) -> None:
    """One that was generated, this once."""
    if password:
        context.out.row("password", password)
        context.out.show("It is shown only this once. Pass it on now.")
