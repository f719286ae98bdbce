"""The page to import and export mailboxes and aliases as CSV."""

from __future__ import annotations

from flask import Response, render_template, request

from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.problems import Problem, Refused
from usermgmt.services import table, transfer
from usermgmt.web.context import actor, permitted
from usermgmt.web.sessions import protected

blueprint = protected("transfer", __name__)
#: Problems on a page; whoever has more fixes those first.
SHOWN = 100


def page(problems: list[Problem], done: transfer.Imported | None = None, dry_run: bool = True) -> str:
    """The form, with what came of the file."""
    passwords = table.as_csv([("address", "password"), *done.passwords]) if done and done.passwords else ""
    return render_template(
        "import.html",
        problems=problems[:SHOWN],
        total=len(problems),
        done=done,
        dry_run=dry_run,
        passwords=passwords,
        columns=", ".join(table.COLUMNS),
    )


@blueprint.get("/import")
@permits("directory.import")
def show() -> str:
    """The form."""
    return page([])


@blueprint.post("/import")
@permits("directory.import")
def send() -> str | tuple[str, int]:
    """Try a file, or import it."""
    file, dry_run = request.files.get("file"), request.form.get("apply") != "yes"
    data = file.read() if file else b""
    try:
        done = transfer.import_table(database(), parts().hasher, actor(), data, dry_run)
    except Refused as refusal:
        return page(refusal.problems), 422
    return page([], done, dry_run)


@blueprint.get("/export.csv")
@permits("directory.export")
def export() -> Response:
    """Everything as a table."""
    with database().transaction() as db:
        text = transfer.export(db, permitted())
    headers = {"Content-Disposition": 'attachment; filename="accounts.csv"'}
    return Response(text, mimetype="text/csv", headers=headers)
