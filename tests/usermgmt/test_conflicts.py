"""Two people at once: a button is refused if what it is about was changed after its page was made."""

from __future__ import annotations

import re
from typing import Any

import pytest
from sqlalchemy import update
from support import Browser
from test_administration import add_second
from test_pages import filled, last_action  # noqa: F401 - a fixture

from usermgmt.database import Database
from usermgmt.models import Admin, Alias, Domain, Mailbox


def pressed(page: str, path: str) -> tuple[str, dict[str, str]]:
    """Where a button of a page leads to, and what it sends. A list has one form, others have one each."""
    button = re.search(rf'formaction="({path}\?if_version=\d+)" name="(active)" value="(\w+)"', page)
    if button:
        return button[1], {button[2]: button[3]}
    fields = dict(re.findall(r'name="(if_version|active)" value="(\w+)"', form_for(page, path)))
    assert "if_version" in fields
    return path, fields


def form_for(page: str, path: str) -> str:
    """The form of a page that is sent to this path; a question has one without a path."""
    forms = re.findall(r"<form .*?</form>", page, re.DOTALL)
    own = [form for form in forms if f'action="{path}"' in form]
    return own[0] if own else next(form for form in forms if 'class="buttons"' in form)


@pytest.mark.parametrize(
    ("page", "path", "table"),
    [
        ("/domains", "/domains/1/active", Domain),
        ("/domains/1", "/domains/1/active", Domain),
        ("/domains/1/delete", "/domains/1/delete", Domain),
        ("/mailboxes/2", "/mailboxes/2/active", Mailbox),
        ("/mailboxes/2/delete", "/mailboxes/2/delete", Mailbox),
        ("/aliases", "/aliases/1/active", Alias),
        ("/aliases", "/aliases/1/may-send", Alias),
        ("/aliases/1/delete", "/aliases/1/delete", Alias),
        ("/admins/2", "/admins/2/delete", Admin),
    ],
)
def test_a_button_is_refused_for_what_somebody_else_has_just_changed(
    filled: Browser,  # noqa: F811
    web_database: Database,
    page: str,
    path: str,
    table: Any,
) -> None:
    add_second(filled)
    target, seen = pressed(filled.get(page).text, path)
    before = last_action(web_database)
    with web_database.transaction() as session:
        session.execute(update(table).values(version=table.version + 1))
    answer = filled.post(target, **seen)
    assert answer.status_code == 409 and "Somebody else changed this meanwhile" in answer.text
    assert last_action(web_database) == before
    target, seen = pressed(filled.get(page).text, path)
    # A domain that holds something stays, for that reason.
    assert filled.post(target, **seen).status_code == (422 if path == "/domains/1/delete" else 303)


def test_several_are_not_deleted_when_one_of_them_was_changed_after_the_question(
    filled: Browser,  # noqa: F811
    web_database: Database,
) -> None:
    filled.post("/mailboxes", email="chihiro@example.org", quota="1G", password_kind="generated")
    chosen: Any = {"selected": ["2", "3"]}
    question = filled.post("/mailboxes/selected/delete", **chosen).text
    chosen["if_version"] = re.findall(r'name="if_version" value="(\d+)"', question)
    assert filled.post("/mailboxes/3", quota="2G", display_name="").status_code == 303
    assert filled.post("/mailboxes/selected/delete", sure="yes", **chosen).status_code == 409
    assert "chihiro@example.org" not in filled.get("/mailboxes/deleted").text
    assert last_action(web_database) == "mailbox.change"
