"""Aliases through the services: what they may lead to, and what may not be taken away from under them."""

from __future__ import annotations

import pytest
from conftest import actions
from sqlalchemy import select
from support import Directory, texts

from usermgmt.models import Mailbox
from usermgmt.problems import Refused
from usermgmt.services import aliases, domains, removal


def test_a_domain_with_mailboxes_or_aliases_is_not_deleted(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org")
    domain = domains.list_domains(directory.session)[0].domain
    with pytest.raises(Refused, match="mailboxes 2, aliases 1"):
        domains.delete_domain(directory.session, directory.actor, domain.id)


def test_a_catch_all_does_not_keep_mailboxes_from_being_added(directory: Directory) -> None:
    directory.alias("@example.org", "anna@example.org")
    assert directory.mailbox("chihiro@example.org").id


def test_a_mailbox_that_aliases_lead_to_is_not_deleted(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org")
    mailbox = directory.session.scalar(select(Mailbox).where(Mailbox.email == "anna@example.org"))
    assert mailbox
    with pytest.raises(Refused, match=r"Aliases lead to this address: info@example\.org"):
        removal.delete_mailbox(directory.session, directory.actor, mailbox.id)


def test_an_alias_gets_one_row_for_each_destination(directory: Directory) -> None:
    rows = directory.alias("info@example.org", "anna@example.org, bert@example.org")
    assert [row.destination for row in rows] == ["anna@example.org", "bert@example.org"]
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
        removal.delete_mailbox(directory.session, directory.actor, mailbox.id)


def test_a_catch_all_cannot_lead_outside(directory: Directory) -> None:
    with pytest.raises(Refused, match="whatever strangers send to addresses that they guess"):
        directory.alias("@example.org", "anna@example.org, friend@elsewhere.example.net")


def test_a_loop_through_a_disabled_alias_is_refused(directory: Directory) -> None:
    (row,) = directory.alias("a@example.org", "anna@example.org")
    aliases.set_alias_active(directory.session, directory.actor, row.id, False)
    directory.alias("b@example.org", "a@example.org")
    with pytest.raises(Refused, match="come back"):
        directory.alias("a@example.org", "b@example.org")


def test_two_catch_alls_that_lead_to_each_other_are_refused(directory: Directory) -> None:
    directory.domain("example.net")
    directory.alias("@example.net", "anna@example.org")
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


def test_aliases_are_found_by_source_or_destination(directory: Directory) -> None:
    directory.alias("info@example.org", "anna@example.org bert@example.org")
    directory.alias("sales@example.org", "bert@example.org")
    rows, total = aliases.list_aliases(directory.session, "anna")
    assert total == 1 and [alias.destination for alias in rows[0].destinations] == [
        "anna@example.org",
        "bert@example.org",
    ]
