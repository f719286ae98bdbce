"""How much a domain's mailboxes may be given, together and each: held whoever gives it, wherever."""

from __future__ import annotations

from typing import Any

import pytest
from support import PASSWORD, Browser, Directory

from usermgmt.database import Database
from usermgmt.passwords import Hasher
from usermgmt.problems import Refused
from usermgmt.services import domains, mailboxes, removal, transfer
from usermgmt.services.audit import COMMAND_LINE, Actor

ANNA = "anna@example.org"


@pytest.fixture
def dora() -> Actor:
    """An admin of example.org, the first domain."""
    return Actor("dora@example.org", domains=frozenset({1}))


@pytest.fixture
def limited(directory: Directory) -> Directory:
    """example.org with 5G for all, 2G at most by its admins; anna and bert have 1G each."""
    change(directory, storage="5G", largest_quota="2G")
    return directory


def change(directory: Directory, **limits: str) -> None:
    """Change limits of example.org."""
    domains.change_domain(directory.session, directory.actor, 1, limits)


def test_a_domains_admin_gives_no_more_than_the_largest_quota_and_an_owner_does(
    limited: Directory, dora: Actor
) -> None:
    session, anna = limited.session, 1
    with pytest.raises(Refused, match=r"more than you may give. Use at most 2G"):
        mailboxes.change_details(session, dora, anna, "3G", "")
    assert mailboxes.change_details(session, limited.actor, anna, "3G", "").quota_bytes == 3 * 1024**3
    # What an owner gave stays, also when somebody else changes the name.
    assert mailboxes.change_details(session, dora, anna, "3G", "Anna").display_name == "Anna"


@pytest.mark.parametrize("who", [COMMAND_LINE, Actor("dora", domains=frozenset({1}))])
def test_nobody_gives_more_than_the_domain_has_left(limited: Directory, hasher: Hasher, who: Actor) -> None:
    session = limited.session
    mailboxes.add_mailbox(session, who, hasher, "chihiro@example.org", PASSWORD, "2G")
    for quota in ("1.5G", "2G"):
        with pytest.raises(Refused, match=r"The domain has 1G of its 5G left for this mailbox"):
            mailboxes.add_mailbox(session, who, hasher, "dan@example.org", PASSWORD, quota)
    with pytest.raises(Refused, match=r"has 2G of its 5G left"):
        change(limited, largest_quota="")
        mailboxes.change_details(session, who, 1, "2.5G", "")
    assert mailboxes.change_details(session, who, 1, "2G", "").quota_bytes == 2 * 1024**3


def test_a_lowered_limit_takes_nothing_away_and_lets_a_quota_shrink(limited: Directory, dora: Actor) -> None:
    change(limited, storage="1G")
    assert mailboxes.change_details(limited.session, dora, 1, "500M", "").quota_bytes == 500 * 1024**2
    with pytest.raises(Refused, match="0 of its 1G left"):
        mailboxes.change_details(limited.session, dora, 1, "501M", "")


def test_a_deleted_mailbox_comes_back_only_where_its_quota_fits(limited: Directory) -> None:
    session, actor = limited.session, limited.actor
    removal.delete_mailbox(session, actor, 1)
    session.flush()
    limited.mailbox("chihiro@example.org", quota="3.5G")
    with pytest.raises(Refused, match="has 512M of its 5G left"):
        removal.restore_mailbox(session, actor, 1)


def test_an_import_counts_all_of_its_lines(
    database: Database, hasher: Hasher, actor: Actor, monkeypatch: Any
) -> None:
    with database.transaction() as session:
        made = Directory(session, actor, hasher)
        made.domain("example.org")
        session.flush()
        domains.change_domain(session, actor, 1, {"storage": "5G", "largest_quota": "2G"})
    dora = Actor("dora", domains=frozenset({1}))
    for who, lines, wrong, line in (
        (dora, "a@example.org,2G\nb@example.org,3G\n", "more than you may give", "3"),
        (actor, "a@example.org,4G\nb@example.org,\nc@example.org,\n", "has 0 of its 5G left", "4"),
    ):
        with pytest.raises(Refused, match=wrong) as refusal:
            transfer.import_table(database, hasher, who, f"address,quota\n{lines}".encode(), False)
        assert [problem.values["line"] for problem in refusal.value.problems] == [line]


def test_the_default_quota_fits_into_the_largest(limited: Directory, dora: Actor, hasher: Hasher) -> None:
    with pytest.raises(Refused, match="more than the largest quota"):
        change(limited, default_quota="3G")
    change(limited, largest_quota="500M")
    made = mailboxes.add_mailbox(limited.session, dora, hasher, "chihiro@example.org", PASSWORD, "")
    assert made.quota_bytes == 500 * 1024**2


def test_limits_are_on_the_page_and_a_refusal_is_beside_its_field(browser: Browser) -> None:
    browser.post("/domains", name="example.org")
    browser.post("/mailboxes", email=ANNA, quota="1G")
    limits = {"storage": "1.5G", "largest_quota": "1G", "version": "1"}
    assert browser.post("/domains/1", **limits).status_code == 303
    assert "1G of 1.5G" in browser.get("/domains").text and 'value="1.5G"' in browser.get("/domains/1").text
    answer = browser.post("/mailboxes/1", quota="2G", version="1")
    assert answer.status_code == 422
    assert (
        'value="2G" required maxlength="20" aria-invalid="true" aria-describedby="quota-problems'
        in answer.text
    )
    assert "The domain has 1.5G of its 1.5G left for this mailbox." in answer.text


def test_what_is_too_long_is_refused_at_its_field_and_kept(browser: Browser) -> None:
    answer = browser.post("/domains", name="x" * 254)
    assert answer.status_code == 422 and "Use at most 253 characters." in answer.text
    assert f'value="{"x" * 254}"' in answer.text
