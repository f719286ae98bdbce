"""The API on a real MariaDB: whatever a program sends, it is answered, never with a failure of ours."""

from __future__ import annotations

import dataclasses
import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as bounds
from hypothesis import strategies as st
from schemathesis.specs.openapi import checks
from sqlalchemy import select
from support import Browser, Directory, MakeApp, Server
from test_api import Program, token
from test_mariadb import real  # noqa: F401 - a fixture
from test_permissions import report_for, rule_of

from usermgmt.database import Database
from usermgmt.mail.doveadm import Doveadm
from usermgmt.mail.imap import Imap
from usermgmt.models import Admin, Alias, ApiToken, AuditEntry, Domain, Mailbox, MailReport, SenderRule
from usermgmt.parts import EXTENSION
from usermgmt.passwords import Hasher
from usermgmt.permissions import SCOPES
from usermgmt.services.audit import COMMAND_LINE
from usermgmt.settings import Settings

pytestmark = pytest.mark.mariadb
#: Each answer is one that the document names, in the form that it says.
CONFORMS = (
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
)
#: Requests to each operation.
EXAMPLES = int(os.environ.get("API_EXAMPLES", "10"))
THINGS: dict[str, Any] = {
    "domain_id": Domain,
    "mailbox_id": Mailbox,
    "alias_id": Alias,
    "report_id": MailReport,
    "admin_id": Admin,
    "rule_id": SenderRule,
    "token_id": ApiToken,
}
#: What Schemathesis would hardly find by itself: text with a meaning elsewhere, and what is right.
TEXTS = ("", "\0", "\ud800", "'; DROP TABLE admins; --", "%", "é" * 300, "@" * 99, "=1+1", "9" * 400)
TEXTS += ("a@example.org", "new@example.org", "@example.org", "example.net", "2G", "violet otter ladder 7")
PAGES = (1, 0, -1, 10**6, 10**40, "x")


def numbers(database: Database) -> dict[str, list[int]]:
    """The numbers of what there is."""
    with database.transaction() as session:
        return {name: [*session.scalars(select(table.id))] for name, table in THINGS.items()}


@pytest.mark.usefixtures("real")
def test_nothing_that_the_document_allows_or_forbids_makes_the_server_fail(
    make_app: MakeApp, settings: Settings, mariadb: Server, hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Dovecot that does what it is asked.
    monkeypatch.setattr(Doveadm, "kick", lambda self, users: None)
    monkeypatch.setattr(Imap, "move", lambda self, wanted, target: True)
    dovecot = Doveadm("dovecot", "k", ssl.create_default_context())
    url = mariadb.url("usermgmt")
    app = make_app(dataclasses.replace(settings, database_url=url, doveadm=dovecot))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    Browser(app).get("/login")
    database = app.extensions[EXTENSION].database
    with database.transaction() as session:
        directory = Directory(session, COMMAND_LINE, hasher)
        directory.domain("example.org")
        for name in "abcdefgh":
            mailbox = directory.mailbox(f"{name}@example.org")
            session.add_all([report_for(mailbox), rule_of(mailbox)])
            directory.alias(f"to-{name}@example.org", f"{name}@example.org")
    secret = token(database, SCOPES)
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    answers: dict[int, int] = {}
    for found in schema.get_all_operations():
        operation = found.ok()

        @bounds(
            # No token may do anything about admins, whatever it sends.
            max_examples=2 if "/admins" in operation.path else EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=[*HealthCheck],
        )
        @given(
            case=operation.as_strategy(),
            pick=st.integers(0, 30),
            odd=st.none() | st.tuples(st.integers(0, 9), st.sampled_from(TEXTS)),
            page=st.none() | st.sampled_from(PAGES),
        )
        def send(
            case: schemathesis.Case, pick: int, odd: tuple[int, str] | None, page: int | str | None
        ) -> None:
            for name in case.path_parameters or {}:
                known = numbers(database)[name]
                if pick < 25 and known:
                    case.path_parameters[name] = known[pick % len(known)]
            if odd is not None and isinstance(case.body, dict) and case.body:
                case.body[sorted(case.body)[odd[0] % len(case.body)]] = odd[1]
            if page is not None and isinstance(case.query, dict) and "page" in case.query:
                case.query["page"] = page
            headers = {"Authorization": f"Bearer {secret}"}
            answer = case.call(headers=headers)
            answers[answer.status_code] = answers.get(answer.status_code, 0) + 1
            assert answer.status_code < 500, (case.method, case.path, case.body, case.query, answer.text)
            case.validate_response(answer, checks=CONFORMS)

        send()
    # It was no wall of refusals that was tried.
    assert answers[200] > EXAMPLES and answers[422] > EXAMPLES, answers


@pytest.mark.usefixtures("real")
def test_the_same_key_sent_eight_times_at_once_adds_one_mailbox(
    make_app: MakeApp, settings: Settings, mariadb: Server, hasher: Hasher
) -> None:
    app = make_app(dataclasses.replace(settings, database_url=mariadb.url("usermgmt")))
    Browser(app).get("/login")
    database = app.extensions[EXTENSION].database
    with database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")
    call = Program(app, token(database, SCOPES))

    def add(_: int) -> int:
        # While the database is too busy to answer in time it is 503: try again, as the document says.
        answers = (
            call("POST", "/mailboxes", {"email": "new@example.org"}, **{"Idempotency-Key": "k"}).status_code
            for _ in range(10)
        )
        return next(code for code in answers if code != 503)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(add, range(8)))
    # What comes later waits, or is answered as the first one was.
    assert 201 in found and {*found} <= {201, 409} and add(0) == 201
    with database.transaction() as session:
        assert session.scalars(select(AuditEntry.action)).all().count("mailbox.add") == 1
