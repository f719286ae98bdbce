"""Deleted mailboxes: restored as they were, or gone; and what a new person with the address gets."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

import pytest
from conftest import actions
from sqlalchemy import select, update
from support import Directory

from usermgmt.models import AuditEntry, Mailbox, utc_now
from usermgmt.problems import Missing, Refused
from usermgmt.services import aliases, domains, mailboxes, removal
from usermgmt.services.directory import counts as count_all
from usermgmt.services.graph import Graph


@pytest.fixture
def deleted(directory: Directory) -> Mailbox:
    """chihiro@example.org, deleted a moment ago."""
    mailbox = directory.mailbox("chihiro@example.org", "2G", name="Chihiro")
    removal.delete_mailbox(directory.session, directory.actor, mailbox.id)
    return mailbox


def test_a_deleted_mailbox_is_off_and_out_of_the_lists_and_its_sessions_end(
    directory: Directory, deleted: Mailbox
) -> None:
    assert not deleted.active and deleted.sessions_ended_at
    assert mailboxes.list_mailboxes(directory.session, "chihiro")[1] == 0
    assert mailboxes.list_mailboxes(directory.session, "chihiro", deleted=True) == ([deleted], 1)
    with pytest.raises(Missing):
        mailboxes.set_mailbox_active(directory.session, directory.actor, deleted.id, True)


@pytest.mark.parametrize("active", [True, False])
def test_a_restored_mailbox_is_as_it_was(directory: Directory, active: bool) -> None:
    session, actor = directory.session, directory.actor
    mailbox = directory.mailbox("chihiro@example.org", "2G")
    mailboxes.set_mailbox_active(session, actor, mailbox.id, active)
    removal.delete_mailbox(session, actor, mailbox.id)
    removal.restore_mailbox(session, actor, mailbox.id)
    assert (mailbox.active, mailbox.deleted_at, mailbox.home) == (active, None, None)
    assert actions(session)[-1] == "mailbox.restore"


def test_the_address_is_kept_until_the_mailbox_is_gone(directory: Directory, deleted: Mailbox) -> None:
    with pytest.raises(Refused, match="can still be restored"):
        directory.mailbox("chihiro@example.org")
    with pytest.raises(Refused, match="neither a mailbox nor an alias"):
        directory.alias("info@example.org", "chihiro@example.org")
    directory.alias("@example.org", "anna@example.org")
    assert Graph(directory.session).ends("chihiro@example.org") == set(), "not to the catch-all"
    removal.erase_mailbox(directory.session, directory.actor, deleted.id)
    directory.session.flush()
    assert Graph(directory.session).ends("chihiro@example.org") == {"anna@example.org"}


def test_a_new_person_with_the_address_gets_a_folder_of_their_own(directory: Directory) -> None:
    homes = []
    for _ in range(3):
        mailbox = directory.mailbox("chihiro@example.org")
        homes.append(mailbox.home)
        removal.delete_mailbox(directory.session, directory.actor, mailbox.id)
        removal.erase_mailbox(directory.session, directory.actor, mailbox.id)
        directory.session.flush()
    assert homes == [None, "example.org/chihiro+2", "example.org/chihiro+3"]


def test_after_the_grace_period_the_account_is_gone(directory: Directory, deleted: Mailbox) -> None:
    session = directory.session
    long_ago = utc_now() - removal.GRACE - timedelta(seconds=1)
    session.execute(update(Mailbox).where(Mailbox.id == deleted.id).values(deleted_at=long_ago))
    session.expire_all()
    with pytest.raises(Missing):
        removal.restore_mailbox(session, directory.actor, deleted.id)
    assert session.scalar(select(Mailbox.id).where(Mailbox.email == "chihiro@example.org")) is None


def let_pass(directory: Directory, mailbox: Mailbox, days: int) -> None:
    """As if the mailbox had been deleted so long ago."""
    mailbox.deleted_at = utc_now() - timedelta(days=days)
    directory.session.flush()


def test_the_mail_of_a_mailbox_is_due_only_after_the_time_to_restore_it(
    directory: Directory, deleted: Mailbox
) -> None:
    session = directory.session
    let_pass(directory, deleted, 29)
    assert (removal.purge(session), removal.homes_to_remove(session)) == ([], [])
    let_pass(directory, deleted, 31)
    assert removal.purge(session) == ["chihiro@example.org"]
    assert actions(session)[-1] == "mailbox.purge"
    assert removal.homes_to_remove(session) == ["example.org/chihiro"]
    assert directory.mailbox("chihiro@example.org").home == "example.org/chihiro+2"
    assert removal.homes_to_remove(session) == ["example.org/chihiro"], "not that of who has the address now"


def test_the_mail_of_a_mailbox_deleted_for_good_is_kept_for_the_same_time(
    directory: Directory, deleted: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = directory.session
    removal.erase_mailbox(session, directory.actor, deleted.id)
    session.flush()
    assert removal.homes_to_remove(session) == []
    monkeypatch.setattr(removal, "utc_now", lambda: utc_now() + timedelta(days=31))
    assert removal.homes_to_remove(session) == ["example.org/chihiro"]


def test_a_folder_that_a_mailbox_has_is_never_due(directory: Directory, deleted: Mailbox) -> None:
    session = directory.session
    let_pass(directory, deleted, 31)
    removal.purge(session)
    # A database of an earlier day, in which the mailbox still is, or code that gives no folder of its own.
    directory.mailbox("chihiro@example.org").home = None
    session.flush()
    assert removal.homes_to_remove(session) == []


def test_a_domain_with_mailboxes_that_can_be_restored_is_not_deleted(directory: Directory) -> None:
    session, actor = directory.session, directory.actor
    domain = directory.domain("empty.example")
    mailbox = directory.mailbox("a@empty.example")
    removal.delete_mailbox(session, actor, mailbox.id)
    with pytest.raises(Refused, match="can still be restored: 1"):
        domains.delete_domain(session, actor, domain.id)
    removal.erase_mailbox(session, actor, mailbox.id)
    session.flush()
    assert domains.delete_domain(session, actor, domain.id) == "empty.example"


def test_deleted_mailboxes_are_not_counted(directory: Directory, deleted: Mailbox) -> None:
    counts = count_all(directory.session)
    assert (counts["mailboxes"], counts["mailboxes_disabled"]) == (2, 0)
    assert domains.list_domains(directory.session)[0].mailboxes == 2
    assert aliases.list_aliases(directory.session)[1] == 0


def test_an_erased_address_is_counted_by_the_mark_that_the_audit_log_has_of_it(directory: Directory) -> None:
    session, address = directory.session, "chihiro@example.org"
    session.delete(directory.mailbox(address))
    mark = f"erased:{sha256(address.encode()).hexdigest()}"
    session.execute(update(AuditEntry).where(AuditEntry.subject == address).values(subject=mark))
    assert directory.mailbox(address).home == "example.org/chihiro+2"
