"""Idempotency-Key: a creation whose answer was lost can be sent again, and is done once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from conftest import actions
from cryptography.fernet import InvalidToken
from flask import Flask
from sqlalchemy import select, update
from test_api import Program, filled, token  # noqa: F401 - a fixture
from werkzeug.test import TestResponse

from usermgmt.database import Database
from usermgmt.models import IdempotencyKey, utc_now
from usermgmt.services import idempotency
from usermgmt.services.idempotency import Keyring

ANNA: dict[str, Any] = {"email": "new@own.example"}


@pytest.fixture
def call(app: Flask, filled: Database) -> Program:  # noqa: F811
    """A program that may do what a token can."""
    return Program(app, token(filled))


def add(call: Program, key: str, body: object = None, path: str = "/mailboxes") -> TestResponse:
    """Send a creation with a key."""
    return call("POST", path, body or ANNA, **{"Idempotency-Key": key})


def test_the_same_request_gets_the_same_answer_and_is_done_once(
    call: Program,
    filled: Database,  # noqa: F811
) -> None:
    first, second, quoted = add(call, "k1"), add(call, "k1"), add(call, '"k1"')
    assert first.status_code == second.status_code == quoted.status_code == 201
    assert first.json["password"] and first.json == second.json == quoted.json
    assert second.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers and second.headers["Idempotency-Replayed"] == "true"
    with filled.transaction() as session:
        assert actions(session)[-2:] == ["token.add", "mailbox.add"]


def test_another_request_with_the_key_is_refused_and_another_token_has_keys_of_its_own(
    app: Flask,
    call: Program,
    filled: Database,  # noqa: F811
) -> None:
    assert add(call, "k1").status_code == 201
    for other in (
        add(call, "k1", {"email": "b@own.example"}),
        add(call, "k1", {"name": "x.example"}, "/domains"),
    ):
        assert other.status_code == 422 and other.json["type"].endswith("#idempotency-key-reused")
    assert add(Program(app, token(filled)), "k1", {"email": "b@own.example"}).status_code == 201


def test_what_was_refused_is_forgotten(call: Program) -> None:
    assert add(call, "k1", {"email": "new@own.example", "quota": "lots"}).status_code == 422
    assert add(call, "k1").status_code == 201


def test_a_request_that_is_being_answered_must_wait_unless_it_ended_half_way(
    call: Program,
    filled: Database,  # noqa: F811
) -> None:
    add(call, "k1")
    with filled.transaction() as session:
        session.execute(update(IdempotencyKey).values(answer=None))
    waits = add(call, "k1")
    assert waits.status_code == 409 and int(waits.headers["Retry-After"]) > 0
    with filled.transaction() as session:
        session.execute(update(IdempotencyKey).values(claimed_at=utc_now() - idempotency.LEASE))
    again = add(call, "k1")
    assert again.status_code == 409 and again.json["type"].endswith("#already-exists"), "it was done before"


def test_a_key_is_forgotten_after_a_day_and_a_token_has_not_too_many(
    call: Program,
    filled: Database,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(idempotency, "MOST_KEYS", 1)
    assert add(call, "k1").status_code == 201
    full = add(call, "k2", {"email": "b@own.example"})
    assert full.status_code == 429 and int(full.headers["Retry-After"]) > 0
    with filled.transaction() as session:
        day = timedelta(hours=24, seconds=1)
        session.scalars(select(IdempotencyKey)).one().created_at -= day
    assert add(call, "k2", {"email": "b@own.example"}).status_code == 201
    with filled.transaction() as session:
        assert len(session.scalars(select(IdempotencyKey)).all()) == 1


@pytest.mark.parametrize("key", ["", "\t", "é", "x" * 256])
def test_what_is_no_key_is_refused(call: Program, key: str) -> None:
    answer = add(call, key)
    assert answer.status_code == 422 and answer.json["problems"][0]["field"] == "Idempotency-Key"


def test_a_copy_of_the_table_tells_no_password_and_nothing_of_the_request(
    call: Program,
    filled: Database,  # noqa: F811
) -> None:
    password = add(call, "k1").json["password"]
    with filled.transaction() as session:
        row = session.scalars(select(IdempotencyKey)).one()
    kept = repr((row.key_hash, row.request_hash, row.answer))
    assert password not in kept and "own.example" not in kept and row.answer
    with pytest.raises(InvalidToken):
        Keyring("another token", "k1").open(row.answer)
    secret = call.headers["Authorization"].removeprefix("Bearer ")
    assert password.encode() in Keyring(secret, "k1").open(row.answer)


def test_an_import_that_is_sent_again_shows_its_passwords_again(call: Program) -> None:
    def send() -> TestResponse:
        headers = {**call.headers, "Content-Type": "text/csv", "Idempotency-Key": "k1"}
        path = "/api/v1/import?dry_run=false"
        return call.client.post(path, data="address\nnew@own.example\n", headers=headers)

    first, second = send(), send()
    assert first.status_code == second.status_code == 200
    assert first.json["passwords"] and first.json == second.json
