"""Domains, mailboxes and aliases through the services: what is written, what is refused, what is logged."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import actions
from sqlalchemy import select
from sqlalchemy.orm import Session

from usermgmt.models import Alias, AuditEntry, Mailbox
from usermgmt.passwords import Hasher
from usermgmt.problems import Missing, Refused
from usermgmt.services import aliases, domains, mailboxes
from usermgmt.services.audit import Actor

PASSWORD = "correct horse battery"


class Directory:
    """The services with the arguments that every test repeats."""

    def __init__(self, session: Session, actor: Actor, hasher: Hasher) -> None:
        self.session, self.actor, self.hasher = session, actor, hasher

    def domain(self, name: str) -> Any:
        """Add a domain."""
        return domains.add_domain(self.session, self.actor, name)

    def mailbox(self, email: str, quota: str = "1G", password: str = PASSWORD, name: str = "") -> Mailbox:
        """Add a mailbox."""
        return mailboxes.add_mailbox(self.session, self.actor, self.hasher, email, password, quota, name)

    def alias(self, source: str, destinations: str) -> list[Alias]:
        """Add an alias."""
        return aliases.add_alias(self.session, self.actor, source, destinations)


@pytest.fixture
def directory(session: Session, actor: Actor, hasher: Hasher) -> Directory:
    """example.org with the mailboxes anna and bert."""
    made = Directory(session, actor, hasher)
    made.domain("example.org")
    made.mailbox("anna@example.org")
    made.mailbox("bert@example.org")
    return made


def texts(refusal: pytest.ExceptionInfo[Refused]) -> list[tuple[str, str]]:
    """Field and filled-in reason of each problem."""
    return [(problem.field, problem.wrong.format(**problem.values)) for problem in refusal.value.problems]


def test_a_domain_is_not_added_twice_in_another_spelling(directory: Directory) -> None:
    with pytest.raises(Refused, match="already here"):
        directory.domain("EXAMPLE.org.")


def test_a_domain_with_mailboxes_or_aliases_is_not_deleted(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org")
    domain = domains.list_domains(directory.session)[0].domain
    with pytest.raises(Refused, match="2 mailboxes and 1 aliases"):
        domains.delete_domain(directory.session, directory.actor, domain.id)


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
        lambda: mailboxes.delete_mailbox(session, actor, 99),
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
    assert directory.hasher.matches(PASSWORD, mailbox.password_hash.removeprefix("{BLF-CRYPT}"))


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


def test_a_catch_all_does_not_keep_mailboxes_from_being_added(directory: Directory) -> None:
    directory.alias("@example.org", "anna@example.org")
    assert directory.mailbox("chihiro@example.org").id


def test_a_new_password_replaces_the_old_one(directory: Directory) -> None:
    mailbox = directory.mailbox("chihiro@example.org")
    mailboxes.change_password(
        directory.session, directory.actor, directory.hasher, mailbox.id, "another good phrase"
    )
    stored = mailbox.password_hash.removeprefix("{BLF-CRYPT}")
    assert directory.hasher.matches("another good phrase", stored)
    assert not directory.hasher.matches(PASSWORD, stored)


def test_a_mailbox_that_aliases_lead_to_is_not_deleted(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org")
    mailbox = directory.session.scalar(select(Mailbox).where(Mailbox.email == "anna@example.org"))
    assert mailbox
    with pytest.raises(Refused, match=r"Aliases lead to this address: info@example\.org"):
        mailboxes.delete_mailbox(directory.session, directory.actor, mailbox.id)


def test_an_alias_gets_one_row_for_each_destination(directory: Directory) -> None:
    rows = directory.alias("info@example.org", "anna@example.org, boss@elsewhere.example.net")
    assert [row.destination for row in rows] == ["anna@example.org", "boss@elsewhere.example.net"]
    assert actions(directory.session)[-2:] == ["alias.add", "alias.add"]


@pytest.mark.parametrize(
    ("source", "destinations", "field", "reason"),
    [
        ("anna@example.org", "bert@example.org", "source", "A mailbox already has this address"),
        ("info@example.com", "anna@example.org", "source", "The domain example.com is not on this server"),
        ("@example.com", "anna@example.org", "source", "The domain example.com is not on this server"),
        ("info@example.org", "nobody@example.org", "destinations", "neither a mailbox nor an alias"),
        ("info@example.org", "nobody+x@example.org", "destinations", "neither a mailbox nor an alias"),
        ("info@example.org", "info@example.org", "destinations", "come back to info@example.org"),
        ("sales@example.org", "anna@example.org", "destinations", "sales@example.org already leads there"),
        ("@example.org", "nobody@example.org", "destinations", "come back to @example.org"),
    ],
)
def test_an_alias_that_cannot_work_is_refused(
    directory: Directory, source: str, destinations: str, field: str, reason: str
) -> None:
    directory.alias("sales@example.org", "anna@example.org")
    with pytest.raises(Refused) as refusal:
        directory.alias(source, destinations)
    ((found_field, found_reason),) = texts(refusal)
    assert found_field == field and reason in found_reason


def test_source_and_destinations_are_answered_at_once(directory: Directory) -> None:
    with pytest.raises(Refused) as refusal:
        directory.alias("anna@example.org", "nobody@example.org gone@example.org")
    assert [field for field, _ in texts(refusal)] == ["source", "destinations", "destinations"]


def test_a_destination_with_a_tag_of_a_mailbox_is_accepted(directory: Directory) -> None:
    assert directory.alias("lists@example.org", "anna+lists@example.org")


def test_a_loop_over_several_aliases_and_domains_is_refused(directory: Directory) -> None:
    directory.domain("example.net")
    directory.alias("c@example.org", "anna@example.org")
    directory.alias("b@example.net", "c@example.org")
    directory.alias("a@example.org", "b@example.net")
    with pytest.raises(Refused, match=r"come back to c@example\.org"):
        directory.alias("c@example.org", "a@example.org")


def test_a_loop_through_a_tag_is_refused(directory: Directory) -> None:
    directory.alias("a@example.org", "anna@example.org")
    directory.alias("b@example.org", "a@example.org")
    with pytest.raises(Refused, match=r"come back to a@example\.org"):
        directory.alias("a@example.org", "b+round@example.org")


def test_a_mailbox_that_an_alias_leads_to_with_a_tag_is_not_deleted(directory: Directory) -> None:
    directory.alias("lists@example.org", "anna+lists@example.org")
    mailbox = directory.session.scalar(select(Mailbox).where(Mailbox.email == "anna@example.org"))
    assert mailbox
    with pytest.raises(Refused, match=r"lists@example\.org"):
        mailboxes.delete_mailbox(directory.session, directory.actor, mailbox.id)


def test_a_loop_through_a_disabled_alias_is_refused(directory: Directory) -> None:
    (row,) = directory.alias("a@example.org", "anna@example.org")
    aliases.set_alias_active(directory.session, directory.actor, row.id, False)
    directory.alias("b@example.org", "a@example.org")
    with pytest.raises(Refused, match="come back"):
        directory.alias("a@example.org", "b@example.org")


def test_two_catch_alls_that_lead_to_each_other_are_refused(directory: Directory) -> None:
    directory.domain("example.net")
    directory.alias("@example.net", "outside@example.edu.au")
    with pytest.raises(Refused, match="come back"):
        directory.alias("@example.net", "x@example.net")
    directory.alias("@example.org", "x@example.net")
    with pytest.raises(Refused, match=r"come back to @example\.net"):
        directory.alias("@example.net", "y@example.org")


def test_more_than_a_hundred_destinations_are_refused(directory: Directory) -> None:
    many = " ".join(f"p{number}@elsewhere.example.net" for number in range(101))
    with pytest.raises(Refused, match="more than 100"):
        directory.alias("all@example.org", many)


def test_the_last_destination_stays_while_another_alias_leads_here(directory: Directory) -> None:
    first, second = directory.alias("a@example.org", "anna@example.org bert@example.org")
    directory.alias("b@example.org", "a@example.org")
    aliases.delete_alias(directory.session, directory.actor, first.id)
    with pytest.raises(Refused, match=r"Aliases lead to this address: b@example\.org"):
        aliases.delete_alias(directory.session, directory.actor, second.id)


def test_a_catch_all_stays_while_another_alias_leads_through_it(directory: Directory) -> None:
    directory.domain("example.net")
    (catch_all,) = directory.alias("@example.org", "anna@example.org")
    directory.alias("sales@example.net", "whoever@example.org")
    with pytest.raises(Refused, match=r"Aliases lead to this address: sales@example\.net"):
        aliases.delete_alias(directory.session, directory.actor, catch_all.id)


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
    mailboxes.delete_mailbox(session, actor, mailbox.id)
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
        assert PASSWORD not in row and "$2b$" not in row


def test_the_list_of_mailboxes_is_searched_literally_and_paged(directory: Directory) -> None:
    directory.mailbox("a_b@example.org", name="100% Anna")
    found, total = mailboxes.list_mailboxes(directory.session, "a_b")
    assert ([row.email for row in found], total) == (["a_b@example.org"], 1)
    assert mailboxes.list_mailboxes(directory.session, "100%")[1] == 1
    assert mailboxes.list_mailboxes(directory.session, "ANNA")[1] == 2
    assert mailboxes.list_mailboxes(directory.session, "", 2) == ([], 3)


def test_aliases_are_found_by_source_or_destination(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org bert@example.org")
    directory.alias("sales@example.org", "bert@example.org")
    rows, total = aliases.list_aliases(directory.session, "anna")
    assert total == 1 and [alias.destination for alias in rows[0].destinations] == [
        "anna@example.org",
        "bert@example.org",
    ]
