"""Every page of administration, for every role, with one's own things and with somebody else's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from support import ACCOUNT_SITE, ADMIN_EMAIL, ADMIN_SITE, Browser, Directory, give_domains

from usermgmt.database import Database
from usermgmt.models import (
    DOMAIN_ADMIN,
    OWNER,
    Admin,
    Alias,
    Domain,
    Mailbox,
    MailReport,
    SenderRule,
    utc_now,
)
from usermgmt.passwords import Hasher
from usermgmt.permissions import ACTIONS, may
from usermgmt.problems import Refused
from usermgmt.services import admins, removal
from usermgmt.services.audit import COMMAND_LINE, Actor

PASSWORD = "correct horse battery"
DOMAIN_ADMIN_EMAIL, USER_EMAIL = "dora@elsewhere.example", "anna@own.example"
#: What would take away what the next page needs.
KEPT = ("/delete", "/restore", "/erase")
#: Blueprints whose pages are for everybody.
EVERYBODYS = frozenset(
    {
        "health",
        "auth",
        "oidc",
        "identity",
        "links",
        "programs",
        "display",
        # What nginx asks for phones, with an app password (test_calendars.py).
        "phones",
        "api",
        "api-docs",
        "problem_types",
        "reports",
        "mail_logins",
        # What the webmail's server asks, with somebody's token (test_contacts.py).
        "contacts",
        None,
    }
)
#: Pages of one's own account, whose rows are nobody else's: test_account.py.
OWN = frozenset({"account", "security", "mail_rules", "calendars"})


def report_for(mailbox: Mailbox) -> MailReport:
    """What rspamd said about a mail to somebody."""
    verdict = {"outcome": "junk", "score": 7.5, "threshold": 6, "reasons": [["MISSING_DATE", 1.0, ""]]}
    mail = {
        "sender": "w@else.example",
        "recipient": mailbox.email,
        "subject": f"For {mailbox.email}",
        "size": 9,
    }
    key = {"report": "0" * 32, "key_header": "Received", "key_value": "id 4abcdefghijk", "at": utc_now()}
    return MailReport(domain_id=mailbox.domain_id, mailbox_id=mailbox.id, **verdict, **mail, **key)


def rule_of(mailbox: Mailbox) -> SenderRule:
    """A sender whom somebody allows."""
    owner = {"scope": f"mailbox:{mailbox.id}", "domain_id": mailbox.domain_id, "mailbox_id": mailbox.id}
    return SenderRule(pattern="w@else.example", kind="allow", created_by=mailbox.email, **owner)


@pytest.fixture
def filled(app: Flask, web_database: Database, hasher: Hasher) -> Iterator[Database]:
    """Two domains with a mailbox and an alias each, and an admin of the first."""
    app.config["WTF_CSRF_ENABLED"] = False
    # The first request makes the first owner.
    Browser(app).get("/login")
    with web_database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        for domain in ("own.example", "foreign.example"):
            directory.domain(domain)
            directory.mailbox(f"anna@{domain}", password=PASSWORD)
            removal.delete_mailbox(session, COMMAND_LINE, directory.mailbox(f"gone@{domain}").id)
            directory.alias(f"info@{domain}", f"anna@{domain}")
            anna = session.scalars(select(Mailbox).where(Mailbox.email == f"anna@{domain}")).one()
            session.add_all([report_for(anna), rule_of(anna)])
        admins.add_admin(session, COMMAND_LINE, hasher, DOMAIN_ADMIN_EMAIL, PASSWORD)
        give_domains(session, DOMAIN_ADMIN_EMAIL, ["own.example"])
    yield web_database


def logged_in(app: Flask, role: str) -> Browser:
    """A browser of somebody with this role."""
    browser = Browser(app, ACCOUNT_SITE if role == "user" else ADMIN_SITE)
    if role == OWNER:
        assert browser.log_in().status_code == 303
    elif role != "stranger":
        email = DOMAIN_ADMIN_EMAIL if role == DOMAIN_ADMIN else USER_EMAIL
        assert browser.log_in(email, PASSWORD).status_code == 303
    return browser


def pages(app: Flask, without: frozenset[str | None]) -> list[tuple[str, str, str]]:
    """Endpoint, method and path rule of every page of other blueprints, from the application itself."""
    return [
        (rule.endpoint, method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) & {"GET", "POST"})
        if rule.endpoint != "static" and (rule.endpoint.rpartition(".")[0] or None) not in without
    ]


def number_in(database: Database, name: str, domain: str) -> int:
    """The number of the domain, or of its mailbox or alias; of an admin it is the one of the first domain."""
    with database.transaction() as session:
        if name == "token_id":
            return 1
        if name == "admin_id":
            return session.scalars(select(Admin.id).where(Admin.email == DOMAIN_ADMIN_EMAIL)).one()
        found = session.scalars(select(Domain).where(Domain.name == domain)).one()
        table = {"domain_id": Domain, "alias_id": Alias, "report_id": MailReport, "rule_id": SenderRule}.get(
            name, Mailbox
        )
        key = Domain.id if table is Domain else table.domain_id
        query = select(table).where(key == found.id)
        if table is Mailbox:
            query = query.where(Mailbox.deleted_at.is_not(None) == (name == "deleted_id"))
        row = session.scalars(query).one()
        number: int = row.id
    return number


def action(app: Flask, endpoint: str) -> str:
    """What the view says that it does; nothing if it does not say."""
    return str(getattr(app.view_functions[endpoint], "action", ""))


def test_every_page_says_what_it_does(app: Flask) -> None:
    assert [
        endpoint for endpoint, _, _ in pages(app, EVERYBODYS) if action(app, endpoint) not in ACTIONS
    ] == []


@pytest.mark.parametrize("whose", ["own.example", "foreign.example"])
@pytest.mark.parametrize("role", [OWNER, DOMAIN_ADMIN, "user", "stranger"])
def test_every_page_answers_each_role_as_the_table_says(
    app: Flask, filled: Database, role: str, whose: str
) -> None:
    browser = logged_in(app, role)
    for endpoint, method, rule in pages(app, EVERYBODYS | OWN):
        numbered = re.search(r"<int:(\w+)>", rule)
        if numbered is None and whose == "foreign.example":
            continue
        path = re.sub(r"<int:\w+>", lambda found: "{}", rule)
        # Nothing here is deleted or switched for real: the forms are empty, and a thing is asked about last.
        path = path.format(number_in(filled, numbered.group(1), whose) if numbered else "")
        if method == "POST" and role in (OWNER, DOMAIN_ADMIN) and path.endswith(KEPT):
            continue
        answer = browser.get(path) if method == "GET" else browser.post_without_token(path)
        allowed = role in ACTIONS[action(app, endpoint)]
        if role == "stranger":
            expected = {302}
        elif not allowed:
            # Owners of mailboxes are on another site, which has none of these pages.
            elsewhere = {302} if endpoint == "overview.show" else {404}
            expected = elsewhere if role == "user" else {403}
        elif role in (DOMAIN_ADMIN, "user") and numbered and whose == "foreign.example":
            expected = {404}
        else:
            expected = {200, 201, 303, 422}
        assert answer.status_code in expected, (role, method, path, answer.status_code)


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/mailboxes", {"email": "new@foreign.example", "quota": "1G"}),
        ("/aliases", {"source": "new@foreign.example", "destinations": "anna@own.example"}),
        ("/aliases", {"source": "@foreign.example", "destinations": "anna@own.example"}),
    ],
)
def test_a_domain_admin_adds_nothing_to_a_foreign_domain(
    app: Flask, filled: Database, path: str, fields: dict[str, str]
) -> None:
    answer = logged_in(app, DOMAIN_ADMIN).post_without_token(path, **fields)
    assert answer.status_code == 422 and "foreign.example is not on this server" in answer.text


def test_a_domain_admin_deletes_what_is_theirs_and_nothing_else(app: Flask, filled: Database) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    for whose, expected in (("foreign.example", 404), ("own.example", 303)):
        for kind, name in (("aliases", "alias_id"), ("mailboxes", "mailbox_id")):
            path = f"/{kind}/{number_in(filled, name, whose)}/delete"
            assert browser.post_without_token(path).status_code == expected, path


def test_a_domain_admin_brings_back_and_erases_what_is_theirs_and_nothing_else(
    app: Flask, filled: Database
) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    assert "gone@own.example" in browser.get("/mailboxes/deleted").text
    assert "foreign.example" not in browser.get("/mailboxes/deleted").text
    for action in ("restore", "erase"):
        path = f"/mailboxes/{number_in(filled, 'deleted_id', 'foreign.example')}/{action}"
        assert browser.post_without_token(path).status_code == 404
    path = f"/mailboxes/{number_in(filled, 'deleted_id', 'own.example')}/restore"
    assert browser.post_without_token(path).status_code == 303


def test_a_domain_admin_selects_nothing_of_others(app: Flask, filled: Database) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    number = str(number_in(filled, "mailbox_id", "foreign.example"))
    for path, more in (("active", {"active": "no"}), ("delete", {}), ("delete", {"sure": "yes"})):
        answer = browser.post_without_token(f"/mailboxes/selected/{path}", selected=number, **more)
        assert answer.status_code == 404, (path, more)
    with filled.transaction() as session:
        mailbox = session.get(Mailbox, int(number))
        assert mailbox and mailbox.active


def test_the_lists_of_a_domain_admin_hold_nothing_of_others(app: Flask, filled: Database) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    for path in (
        "/",
        "/domains",
        "/mailboxes",
        "/mailboxes?q=anna",
        "/aliases",
        "/aliases?q=info",
        "/mailboxes?sort=-login&domain=own.example",
        "/mailboxes/new",
        "/mail",
        "/audit",
        "/audit?q=anna",
        "/audit.csv",
    ):
        page = browser.get(path).text
        assert "foreign.example" not in page and "own.example" in page, path
    assert "Add domain" not in browser.get("/domains").text


def test_the_last_owner_stays_an_owner(app: Flask, filled: Database) -> None:
    with filled.transaction() as session, pytest.raises(Refused, match="last owner"):
        give_domains(session, ADMIN_EMAIL, ["own.example"])
    with filled.transaction() as session:
        give_domains(session, DOMAIN_ADMIN_EMAIL, [])
        assert give_domains(session, ADMIN_EMAIL, ["own.example"]).role == DOMAIN_ADMIN


def test_a_change_of_role_acts_on_open_sessions(app: Flask, filled: Database) -> None:
    browser = logged_in(app, DOMAIN_ADMIN)
    with filled.transaction() as session:
        give_domains(session, DOMAIN_ADMIN_EMAIL, ["foreign.example"])
    assert browser.get("/domains").status_code == 302


def test_what_has_no_row_nobody_may() -> None:
    owner = Admin(email="a@example.org", password_hash="", role=OWNER, active=True)
    assert may(owner, "domain.add") and not may(owner, "nonsense") and not may(owner, "")
    assert not may(None, "overview") and not may(Mailbox(), "overview")
    assert not may(Admin(role="something", active=True), "overview")
    assert Actor("x", domains=frozenset({1})).reaches(1) and not Actor("x", domains=frozenset()).reaches(1)
