"""Many mailboxes and aliases at once: tried first, all or none, errors by line, nothing that a sheet runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

import pytest
from conftest import actions
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select
from support import Browser, Directory
from test_api import Program, token

from usermgmt.database import Database
from usermgmt.models import Alias, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import table, transfer
from usermgmt.services.audit import COMMAND_LINE, Actor

GOOD = """address,name,quota,active,destinations,may_send,password
anna@example.org,Anna,2G,,,,violet otter ladder 7
bert@example.org,"Bert, B.",,no,,,
info@example.org,,,,team@example.org bert@example.org,,
team@example.org,,,yes,anna@example.org,no,
info@example.org,,,no,anna@example.org,yes,
"""
#: Of "violet otter ladder 7", as another server keeps it; and one that would take a day to check.
KEPT = "{BLF-CRYPT}$2b$04$ZXu/tJaMKsoclYkYFdjHeOEdjLIKZsGuT9GYdz3/SXWUtPM6q.WLa"
COSTLY = KEPT.replace("$04$", "$31$")


@pytest.fixture
def server(database: Database, hasher: Hasher) -> Database:
    """example.org, and nothing in it."""
    with database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")
    return database


@pytest.fixture
def load(server: Database, hasher: Hasher) -> Callable[..., transfer.Imported]:
    """Import a text."""

    def run(text: str | bytes, dry_run: bool = False, actor: Actor = COMMAND_LINE) -> transfer.Imported:
        data = text if isinstance(text, bytes) else text.encode()
        return transfer.import_table(server, hasher, actor, data, dry_run)

    return run


def there(server: Database) -> tuple[set[tuple[str, int, bool]], set[tuple[str, str, bool, bool]]]:
    """What the server has."""
    with server.transaction() as session:
        boxes = {(row.email, row.quota_bytes, row.active) for row in session.scalars(select(Mailbox))}
        ways = {
            (row.source, row.destination, row.active, row.may_send) for row in session.scalars(select(Alias))
        }
    return boxes, ways


def test_a_file_is_tried_and_then_added_as_a_whole(
    server: Database, load: Callable[..., transfer.Imported], hasher: Hasher
) -> None:
    tried = load(GOOD, dry_run=True)
    assert (tried.mailboxes, tried.aliases, tried.passwords) == (2, 2, []) and there(server) == (set(), set())
    done = load(GOOD)
    ((address, password),) = done.passwords
    assert address == "bert@example.org"
    assert there(server) == (
        {("anna@example.org", 2 * 1024**3, True), ("bert@example.org", 1024**3, False)},
        {
            ("info@example.org", "team@example.org", True, True),
            ("info@example.org", "bert@example.org", True, True),
            ("info@example.org", "anna@example.org", False, True),
            ("team@example.org", "anna@example.org", True, False),
        },
    )
    with server.transaction() as session:
        hashes = dict(session.execute(select(Mailbox.email, Mailbox.password_hash)).all())
        assert actions(session).count("mailbox.add") == 2 and actions(session).count("alias.add") == 4
    assert hasher.matches(password, hashes["bert@example.org"])
    assert hasher.matches("violet otter ladder 7", hashes["anna@example.org"])
    assert not hasher.matches(password + "x", hashes["bert@example.org"])


@pytest.mark.parametrize("scheme", ["bcrypt", "argon2id"])
def test_a_hash_of_another_server_opens_the_mailbox_with_the_same_password(
    server: Database, load: Callable[..., transfer.Imported], hasher: Hasher, scheme: str
) -> None:
    given = KEPT if scheme == "bcrypt" else hasher.hash_for_mailbox("violet otter ladder 7")
    done = load(f'address,password_hash\nanna@example.org,"{given}"\n')
    assert done.passwords == []
    with server.transaction() as session:
        (stored,) = session.scalars(select(Mailbox.password_hash))
    assert hasher.matches("violet otter ladder 7", stored) and not hasher.matches("violet otter", stored)


@pytest.mark.parametrize(
    ("rows", "line", "field", "wrong"),
    [
        ("x@example.org,,lots,,,", 3, "quota", "not a size"),
        ("x@nowhere.example,,,,,", 3, "address", "not on this server"),
        ("anna@example.org,,,,,", 3, "address", "taken already"),
        ("x@example.org,,,maybe,,", 3, "active", "neither yes nor no"),
        ("x@example.org,,,,,short", 3, "password", "too short"),
        ("x@example.org,,,,,,{SHA512-CRYPT}$6$a$b", 3, "password_hash", "cannot be checked"),
        (f"x@example.org,,,,,,{COSTLY}", 3, "password_hash", "cannot be checked"),
        (f"x@example.org,,,,,violet otter ladder 7,{KEPT}", 3, "password_hash", "cannot be checked"),
        ("x@example.org,,,,nobody@example.org,", 3, "destinations", "neither a mailbox nor an alias"),
        ("x@example.org,,,,y@example.org,\ny@example.org,,,,x@example.org,", 3, "destinations", "go round"),
        (
            "x@example.org,,,,anna@example.org,\nx@example.org,,,,anna@example.org,",
            4,
            "destinations",
            "already leads",
        ),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_added(
    server: Database, load: Callable[..., transfer.Imported], rows: str, line: int, field: str, wrong: str
) -> None:
    head = "address,name,quota,active,destinations,password,password_hash\nanna@example.org,,,,,\n"
    with pytest.raises(Refused) as refusal:
        load(head + rows + "\n")
    first = refusal.value.problems[0]
    assert (first.values["line"], first.field) == (str(line), field) and wrong in first.wrong
    assert there(server) == (set(), set())


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"address\n\xff\n", "not text in UTF-8"),
        (b"email\nx@example.org\n", "no such column"),
        (b"name\nx\n", "is missing"),
        (b"", "is missing"),
        (b"address\n" + b"x@example.org\n" * 10_001, "more than 10,000 rows"),
        (
            b"address,password\n" + b"x@example.org,violet otter ladder 7\n" * 1_001,
            "more than 1,000 passwords",
        ),
    ],
)
def test_what_is_no_such_table_is_refused(
    load: Callable[..., transfer.Imported], data: bytes, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "check_password", lambda *_: None)
    with pytest.raises(Refused, match=wrong):
        load(data)


def test_a_table_of_a_spreadsheet_with_semicolons_and_a_mark_is_read(
    server: Database, load: Callable[..., transfer.Imported]
) -> None:
    assert load("\ufeffAddress;Name\r\nanna@example.org;Anna, A.\r\n\r\n".encode()).mailboxes == 1


def test_a_domain_admin_imports_into_their_domains_only(load: Callable[..., transfer.Imported]) -> None:
    with pytest.raises(Refused, match="not on this server"):
        load("address\nanna@example.org\n", actor=Actor("dora", domains=frozenset()))


def test_an_import_holds_the_limits_of_the_domain(
    server: Database, load: Callable[..., transfer.Imported]
) -> None:
    with server.transaction() as session:
        Directory(session, COMMAND_LINE, Hasher(cheap=True)).mailbox(
            "anna@example.org"
        ).domain.most_mailboxes = 2
    with pytest.raises(Refused, match="more than it may have") as refusal:
        load("address\na@example.org\nb@example.org\n")
    assert [problem.values["line"] for problem in refusal.value.problems] == ["3"]


def test_an_address_that_was_given_before_gets_a_folder_of_its_own(
    server: Database, load: Callable[..., transfer.Imported]
) -> None:
    load("address\nanna@example.org\n")
    with server.transaction() as session:
        session.delete(session.scalars(select(Mailbox)).one())
    load("address\nanna@example.org\n")
    with server.transaction() as session:
        assert session.scalars(select(Mailbox.home)).one() == "example.org/anna+2"


def test_the_number_of_queries_does_not_depend_on_the_rows(
    server: Database, load: Callable[..., transfer.Imported]
) -> None:
    counts = []
    for prefix, number in (("a", 5), ("b", 400)):
        sent: list[str] = []
        note = lambda *args, sent=sent: sent.append(args[2])  # noqa: E731
        event.listen(server.engine, "before_cursor_execute", note)
        rows = [f"{prefix}{row}@example.org,," for row in range(number)]
        rows += [f"{prefix}x{row}@example.org,,{prefix}1@example.org" for row in range(number)]
        assert load("address,password,destinations\n" + "\n".join(rows)).mailboxes == number
        event.remove(server.engine, "before_cursor_execute", note)
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_no_password_is_hashed_while_the_directory_is_locked(
    load: Callable[..., transfer.Imported], hasher: Hasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    hash_it, lock_it = hasher.hash_for_mailbox, transfer.lock_directory
    monkeypatch.setattr(hasher, "hash_for_mailbox", lambda word: order.append("hash") or hash_it(word))
    monkeypatch.setattr(transfer, "lock_directory", lambda session: order.append("lock") or lock_it(session))
    load(GOOD)
    assert order == ["hash", "lock"]


def test_what_is_exported_can_be_imported_elsewhere(
    server: Database, load: Callable[..., transfer.Imported], hasher: Hasher
) -> None:
    load(GOOD.replace("Bert, B.", "=HYPERLINK(1)") + "@example.org,,,,anna@example.org,,\n")
    with server.transaction() as session:
        text = transfer.export(session)
        before = there(server)
        for row in [*session.scalars(select(Alias)), *session.scalars(select(Mailbox))]:
            session.delete(row)
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert "'=HYPERLINK(1)" in cells and "'@example.org" in cells
    load(text)
    assert there(server) == before
    with server.transaction() as session:
        assert transfer.export(session) == text
        assert transfer.export(session, frozenset()).count("\n") == 1


@settings(deadline=None, max_examples=60)
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: ("address,name,quota\n" + text).encode())
)
def test_no_file_raises_anything_but_a_refusal(data: bytes) -> None:
    try:
        table.read(table.decode(data))
    except Refused as refusal:
        assert all(problem.values["line"].isdigit() for problem in refusal.problems)


def test_the_page_tries_a_file_shows_problems_by_line_and_then_the_passwords_once(
    browser: Browser, web_database: Database, hasher: Hasher
) -> None:
    with web_database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")

    def send(text: str, **fields: str) -> tuple[int, str]:
        browser.get("/import")
        data = {"file": (io.BytesIO(text.encode()), "people.csv"), "csrf_token": browser.token, **fields}
        answer = browser.client.post("/import", data=data, environ_overrides=browser.environ)
        return answer.status_code, answer.text

    status, page = send("address,quota\nx@example.org,lots\n")
    assert status == 422 and '<th scope="row">2</th>' in page and "This is not a size." in page
    status, page = send(GOOD)
    assert status == 200 and "To be added: mailboxes 2, aliases 2." in page and "bert@example.org" not in page
    # Larger than any other form may be.
    many = GOOD + "".join(f"p{number}@example.org,{'x' * 60},,,,,\n" for number in range(1500))
    status, page = send(many, apply="yes")
    assert status == 200 and "Added: mailboxes 1502, aliases 2." in page and "p1499@example.org," in page
    assert browser.get("/export.csv").text.startswith(
        "address,name,quota,active,destinations,may_send,password\r\n"
    )


def test_the_api_tries_a_file_adds_it_and_exports(app: Flask, web_database: Database, hasher: Hasher) -> None:
    Browser(app).get("/login")
    with web_database.transaction() as session:
        Directory(session, COMMAND_LINE, hasher).domain("example.org")
    call = Program(app, token(web_database))

    def send(path: str, text: str) -> object:
        answer = call.client.post(f"/api/v1{path}", data=text, headers=call.headers, content_type="text/csv")
        return answer.json

    assert send("/import", GOOD) == {"dry_run": True, "mailboxes": 2, "aliases": 2, "passwords": []}
    wrong = send("/import", "address,quota\nx@example.org,lots\n")
    assert wrong["problems"][0] | {"fix": ""} == {  # type: ignore[index]
        "line": 2,
        "field": "quota",
        "value": "lots",
        "wrong": "This is not a size.",
        "fix": "",
    }
    done = send("/import?dry_run=false", GOOD)
    assert [each["email"] for each in done["passwords"]] == ["bert@example.org"]  # type: ignore[index]
    answer = call("GET", "/export")
    assert answer.mimetype == "text/csv" and "anna@example.org,Anna,2G,yes" in answer.text
    assert Program(app, token(web_database, ("mailbox:write",)))("GET", "/export").status_code == 403
