"""Domains, mailboxes and aliases through the services: what is written, what is refused, what is logged."""

from __future__ import annotations

import pytest
from conftest import actions
from sqlalchemy import select
from support import PASSWORD, Directory, texts

from usermgmt.models import AuditEntry
from usermgmt.problems import Missing, Refused
from usermgmt.services import aliases, domains, mailboxes, removal


def test_a_domain_is_not_added_twice_in_another_spelling(directory: Directory) -> None:
    with pytest.raises(Refused, match="already here"):
        directory.domain("EXAMPLE.org.")


def test_an_empty_domain_is_deleted_and_logged(directory: Directory) -> None:
    domain = directory.domain("empty.example.org")
    assert domains.delete_domain(directory.session, directory.actor, domain.id) == "empty.example.org"
    assert actions(directory.session)[-1] == "domain.delete"


def test_what_is_not_there_is_missing_not_a_crash(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    for call in (
        lambda: domains.set_domain_active(session, actor, 99, True),
        lambda: domains.delete_domain(session, actor, 99),
        lambda: mailboxes.set_mailbox_active(session, actor, 99, True),
        lambda: removal.delete_mailbox(session, actor, 99),
        lambda: mailboxes.change_password(session, actor, directory.hasher, 99, PASSWORD),
        lambda: mailboxes.change_details(session, actor, 99, "1G", ""),
        lambda: aliases.set_alias_active(session, actor, 99, True),
        lambda: aliases.delete_alias(session, actor, 99),
    ):
        with pytest.raises(Missing, match="no such"):
            call()


def test_a_mailbox_is_stored_with_hash_quota_and_name(directory: Directory) -> None:
    mailbox = directory.mailbox("Chihiro@Example.org", "2.5G", name=" 山田  千尋 ")
    assert (mailbox.email, mailbox.quota_bytes) == ("chihiro@example.org", 2684354560)
    assert mailbox.display_name == "山田 千尋"
    assert directory.hasher.matches(PASSWORD, mailbox.password_hash)


def test_all_wrong_inputs_of_a_mailbox_are_answered_at_once(directory: Directory) -> None:
    with pytest.raises(Refused) as refusal:
        directory.mailbox("x+y@example.org", "lots", "short", "n" * 101)
    assert [field for field, _ in texts(refusal)] == ["email", "quota", "display_name", "password"]


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("anna@example.org", "This mailbox is already here."),
        ("ANNA@example.org", "This mailbox is already here."),
        ("info@example.org", "An alias already has this address."),
        ("anna@example.com", "The domain example.com is not on this server."),
        ("anna@sub.example.org", "The domain sub.example.org is not on this server."),
    ],
)
def test_a_mailbox_address_must_be_free_and_in_an_own_domain(
    directory: Directory, email: str, reason: str
) -> None:
    directory.alias("info@example.org", "anna@example.org")
    with pytest.raises(Refused) as refusal:
        directory.mailbox(email)
    assert texts(refusal) == [("email", reason)]


def test_a_new_password_replaces_the_old_one(directory: Directory) -> None:
    mailbox = directory.mailbox("chihiro@example.org")
    mailboxes.change_password(
        directory.session, directory.actor, directory.hasher, mailbox.id, "another good phrase"
    )
    stored = mailbox.password_hash
    assert directory.hasher.matches("another good phrase", stored)
    assert not directory.hasher.matches(PASSWORD, stored)


def test_every_change_leaves_one_row_of_who_did_what_from_where(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    domain = domains.list_domains(session)[0].domain
    mailbox = directory.mailbox("chihiro@example.org")
    (alias,) = directory.alias("a@example.org", "anna@example.org")
    before = len(actions(session))
    domains.set_domain_active(session, actor, domain.id, False)
    domains.set_domain_active(session, actor, domain.id, True)
    mailboxes.set_mailbox_active(session, actor, mailbox.id, False)
    mailboxes.set_mailbox_active(session, actor, mailbox.id, True)
    mailboxes.change_details(session, actor, mailbox.id, "2G", "Chihiro")
    mailboxes.change_password(session, actor, directory.hasher, mailbox.id, "another good phrase")
    removal.delete_mailbox(session, actor, mailbox.id)
    aliases.set_alias_active(session, actor, alias.id, False)
    aliases.set_alias_active(session, actor, alias.id, True)
    aliases.delete_alias(session, actor, alias.id)
    assert actions(session)[before:] == [
        "domain.disable",
        "domain.enable",
        "mailbox.disable",
        "mailbox.enable",
        "mailbox.change",
        "mailbox.password",
        "mailbox.delete",
        "alias.disable",
        "alias.enable",
        "alias.delete",
    ]
    last = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert last and (last.actor, last.client_address) == (actor.name, actor.client_address)
    assert (last.subject, last.detail) == ("a@example.org", {"destination": "anna@example.org"})


def test_what_changes_nothing_leaves_no_row(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    domain = domains.list_domains(session)[0].domain
    mailbox = directory.mailbox("chihiro@example.org")
    before = actions(session)
    domains.set_domain_active(session, actor, domain.id, True)
    mailboxes.set_mailbox_active(session, actor, mailbox.id, True)
    mailboxes.change_details(session, actor, mailbox.id, "1G", "")
    assert actions(session) == before


def test_no_password_and_no_hash_is_in_the_audit_log(directory: Directory) -> None:
    for entry in directory.session.scalars(select(AuditEntry)):
        row = f"{entry.actor} {entry.subject} {entry.detail}"
        assert PASSWORD not in row and "$argon2" not in row


def test_the_list_of_mailboxes_is_searched_literally_and_paged(directory: Directory) -> None:
    directory.mailbox("a_b@example.org", name="100% Anna")
    found, total = mailboxes.list_mailboxes(directory.session, "a_b")
    assert ([row.email for row in found], total) == (["a_b@example.org"], 1)
    assert mailboxes.list_mailboxes(directory.session, "100%")[1] == 1
    assert mailboxes.list_mailboxes(directory.session, "ANNA")[1] == 2
    assert mailboxes.list_mailboxes(directory.session, "", 2) == ([], 3)
