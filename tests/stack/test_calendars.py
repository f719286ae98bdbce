"""Calendars and address books as phones reach them: CalDAV by the caldav library, CardDAV by requests."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import caldav
import httpx
import pytest
from caldav.lib.error import AuthorizationError

from tests.stack.clients import PASSWORD, Accounts, visitor
from tests.stack.keeper import Keeper

DINNER, LUNCH = datetime(2026, 12, 24, 18, tzinfo=UTC), datetime(2026, 12, 25, 12, tzinfo=UTC)
CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:c1\r\nFN:Carla\r\nN:;Carla;;;\r\n"
    "EMAIL:carla@shop.example\r\nEND:VCARD\r\n"
)
ALL_CARDS = (
    '<C:addressbook-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav">'
    "<D:prop><C:address-data/></D:prop><C:filter/></C:addressbook-query>"
)
XML = {"Depth": "1", "Content-Type": "application/xml"}


@dataclass
class Person:
    """Somebody with a mailbox: their account page, and their phone with an app password."""

    address: str
    pages: Accounts
    phone: caldav.DAVClient

    @property
    def calendar(self) -> caldav.Calendar:
        """The one that everybody begins with."""
        return self.phone.principal().calendars()[0]

    @property
    def summaries(self) -> list[str]:
        """What is in it."""
        return sorted(str(event.icalendar_component["summary"]) for event in self.calendar.events())

    @property
    def cards(self) -> str:
        """The contacts, as the phone gets them."""
        return self.phone.request(f"{self.phone.principal().url}contacts/", "REPORT", ALL_CARDS, XML).raw


@pytest.fixture
def person(stack, mailboxes) -> Callable[[str], Person]:
    """Makes somebody."""

    def make(name: str) -> Person:
        address = mailboxes.new(name).address
        pages = Accounts.of_reader(stack.info, address)
        made = pages.submit("account", "account/app-passwords", name="Phone", old_password=PASSWORD).text
        [secret] = re.findall(r"<code[^>]*>([^<]+)</code>", made)
        site = httpx.URL(stack.info["account_page"])
        headers = {"Host": site.netloc.decode()}
        here = str(site.copy_with(host="127.0.0.1", path="/dav/"))
        return Person(
            address, pages, caldav.DAVClient(here, username=address, password=secret, headers=headers)
        )

    return make


def test_a_phone_finds_its_calendar_and_contacts_and_keeps_them(stack, person) -> None:
    anna = person("anna")
    anna.calendar.save_event(dtstart=DINNER, dtend=DINNER, summary="Dinner")
    assert anna.summaries == ["Dinner"]
    url = f"{anna.phone.principal().url}contacts/c1.vcf"
    assert anna.phone.request(url, "PUT", CARD, {"Content-Type": "text/vcard"}).status == 201
    assert "carla@shop.example" in anna.cards
    with visitor(stack.info["account_page"]) as http:
        http.follow_redirects = False
        for kind in ("caldav", "carddav"):
            assert http.get(f".well-known/{kind}").headers["Location"].endswith("/dav/")


def test_nobody_reaches_what_is_another_persons(person, stack) -> None:
    anna, bert = person("owner"), person("stranger")
    event = anna.calendar.save_event(dtstart=DINNER, dtend=DINNER, summary="Secret")
    bert.calendar.save_event(dtstart=LUNCH, dtend=LUNCH, summary="Lunch")
    for method in ("PROPFIND", "GET", "DELETE"):
        with pytest.raises(AuthorizationError):
            bert.phone.request(str(event.url), method)
    pretending = {"X-Remote-User": str(anna.phone.principal().url).rstrip("/").rpartition("/")[2]}
    with pytest.raises(AuthorizationError):
        bert.phone.request(str(event.url), "GET", "", pretending)
    with visitor(stack.info["account_page"], pretending) as http:
        assert http.request("PROPFIND", "dav/").status_code == 401
        assert http.request("PROPFIND", "dav/", auth=(anna.address, PASSWORD)).status_code == 401
        assert http.get("dav-log-in").status_code == 404
    assert anna.summaries == ["Secret"] and bert.summaries == ["Lunch"]


def test_the_page_lists_adds_and_deletes_what_the_phone_sees(person) -> None:
    anna = person("pages")
    anna.pages.submit("account/calendars", "account/calendars", name="Work", kind="calendar")
    names = {calendar.get_display_name(): calendar for calendar in anna.phone.principal().calendars()}
    assert set(names) == {"Calendar", "Work"}
    key = str(names["Work"].url).rstrip("/").rpartition("/")[2]
    page = f"account/calendars/{key}/delete"
    anna.pages.submit(page, page)
    assert [each.get_display_name() for each in anna.phone.principal().calendars()] == ["Calendar"]


def test_after_damage_a_restore_brings_the_calendar_of_the_backup_back(stack, person) -> None:
    anna, keeper = person("restored"), Keeper(stack)
    anna.calendar.save_event(dtstart=DINNER, dtend=DINNER, summary="Dinner")
    anna.phone.request(
        f"{anna.phone.principal().url}contacts/c1.vcf", "PUT", CARD, {"Content-Type": "text/vcard"}
    )
    before = anna.summaries, anna.cards
    snapshot = keeper.backup()
    stack.exec("radicale", "sh", "-c", "rm -r /var/lib/radicale/collections/collection-root/*/calendar")
    assert anna.phone.principal().calendars() == []
    keeper.restore("--from", snapshot, "--component", "groupware", "--yes")
    keeper.confirm()
    assert (anna.summaries, anna.cards) == before == (["Dinner"], anna.cards)
