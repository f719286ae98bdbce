"""The page to import and export mailboxes and aliases as CSV."""

from __future__ import annotations

from flask import Response, render_template

from usermgmt.parts import database, parts
from usermgmt.permit import permits
from usermgmt.problems import Refused
from usermgmt.services import table, transfer
from usermgmt.web.context import actor, permitted
from usermgmt.web.forms import Form, Import
from usermgmt.web.sessions import protected

blueprint = protected("transfer", __name__)
#: Problems on a page; whoever has more fixes those first.
SHOWN = 100


def page(form: Form, done: transfer.Imported | None = None) -> tuple[str, int]:
    """The form, with what came of the file."""
    passwords = table.as_csv([("address", "password"), *done.passwords]) if done and done.passwords else ""
    shown = render_template(
        "import.html",
        problems=form.problems[:SHOWN],
        total=len(form.problems),
        done=done,
        dry_run=not form.apply.data,
        passwords=passwords,
        columns=", ".join(table.COLUMNS),
    )
    return shown, form.status


@blueprint.get("/import")
@permits("directory.import")
def show() -> tuple[str, int]:
    """The form."""
    return page(Import(formdata=None))


@blueprint.post("/import")
@permits("directory.import")
def send() -> tuple[str, int]:
    """Try a file, or import it."""
    form = Import()
    data = form.file.data.read() if form.file.data else b""
    try:
        done = transfer.import_table(database(), parts().hasher, actor(), data, not form.apply.data)
    except Refused as refusal:
        return page(form.refuse(refusal))
    return page(form, done)


@blueprint.get("/export.csv")
@permits("directory.export")
def export() -> Response:
    """Everything as a table."""
    with database().transaction() as db:
        text = transfer.export(db, permitted())
    headers = {"Content-Disposition": 'attachment; filename="accounts.csv"'}
    return Response(text, mimetype="text/csv", headers=headers)
