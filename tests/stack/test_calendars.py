"""Calendars and address books as phones reach them (CalDAV, CardDAV), and contacts in the webmail."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import caldav
import httpx
import pytest
from caldav.lib.error import AuthorizationError
from playwright.sync_api import expect

from tests.stack.clients import PASSWORD, Accounts, Edge, Webmail, log_in_to_webmail, message, visitor
from tests.stack.conftest import DESK
from tests.stack.keeper import Keeper
from tests.stack.stack import eventually

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

    def put(self, card: str, name: str = "c1") -> None:
        """A contact, as the phone saves it."""
        url = f"{self.phone.principal().url}contacts/{name}.vcf"
        assert self.phone.request(url, "PUT", card, {"Content-Type": "text/vcard"}).status in (201, 204)


class Contacts:
    """What the webmail's pages fetch of the synced contacts of somebody who is logged in."""

    def __init__(self, stack, person: Person) -> None:
        self.webmail = Webmail(stack.info)
        self.webmail.log_in(person.address, PASSWORD)
        page = self.webmail.http.get("?_task=addressbook").text
        self.sources = re.findall(r'rel="([^"]+)"', page)
        self.token = re.search(r'"request_token":"([^"]+)"', page)[1]

    def fetch(self, query: str) -> str:
        """What a script of the page fetches."""
        headers = {"X-Roundcube-Request": self.token}
        return self.webmail.http.get(f"?{query}&_remote=1", headers=headers).text

    @property
    def listed(self) -> str:
        """The whole book."""
        return self.fetch("_task=addressbook&_action=list&_source=synced")

    def found(self, words: str) -> str:
        """By the search of the address book, which asks all books."""
        return self.fetch(f"_task=addressbook&_action=search&_q={words}&_headers=name,email")

    def completed(self, words: str) -> str:
        """While an address is written."""
        return self.fetch(f"_task=mail&_action=autocomplete&_search={words}&_reqid=1")

    @property
    def mails(self) -> str:
        """Those of the inbox."""
        return self.fetch("_task=mail&_action=list&_mbox=INBOX")

    def shown(self, number: str) -> str:
        """The page of one contact."""
        query = f"?_task=addressbook&_action=show&_source=synced&_cid={number}&_framed=1"
        return self.webmail.http.get(query).text


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
    anna.put(CARD)
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
    anna.put(CARD)
    before = anna.summaries, anna.cards
    snapshot = keeper.backup()
    stack.exec("radicale", "sh", "-c", "rm -r /var/lib/radicale/collections/collection-root/*/calendar")
    assert anna.phone.principal().calendars() == []
    keeper.restore("--from", snapshot, "--component", "groupware", "--yes")
    keeper.confirm()
    assert (anna.summaries, anna.cards) == before == (["Dinner"], anna.cards)


def test_the_webmail_finds_the_contacts_of_the_phone_and_nobody_elses(stack, person) -> None:
    anna, bert = person("writer"), person("other")
    anna.put(CARD)
    hers, his = Contacts(stack, anna), Contacts(stack, bert)
    assert "synced" in hers.sources
    for look in (
        lambda book: book.listed,
        lambda book: book.found("carl"),
        lambda book: book.completed("carl"),
    ):
        assert "carla@shop.example" in look(hers)
        assert "carla" not in look(his).lower()
    [number] = set(re.findall(r'add_contact_row\("([0-9a-f]{20})', hers.listed.replace("\\", "")))
    assert "carla@shop.example" in hers.shown(number)
    anna.put(CARD.replace("Carla", "Carola"))
    assert "Carola" in hers.listed and "Carola" in hers.completed("carola")


def test_while_the_contacts_are_away_the_address_book_says_so_and_mail_goes_on(stack, person) -> None:
    anna = person("reader")
    anna.put(CARD)
    book = Contacts(stack, anna)
    subject = "read without contacts"
    assert Edge(stack.info).post(message(subject, to=anna.address), anna.address).status_code == 200
    eventually(lambda: subject in book.mails)
    for service in ("radicale", "usermgmt"):
        stack.docker("pause", service)
        try:
            assert "cannot be read now" in book.listed, service
            assert subject in book.mails
        finally:
            stack.docker("unpause", service)
    assert "carla@shop.example" in book.completed("carl")


def test_a_token_that_no_longer_counts_is_refreshed_and_who_is_out_gets_no_contacts(stack, person) -> None:
    anna = person("token")
    anna.put(CARD)
    book = Contacts(stack, anna)
    # Nothing verifies the token any more that the webmail has.
    stack.sql("DELETE FROM oidc_keys")
    assert "carla@shop.example" in book.listed
    Accounts.of_reader(stack.info, anna.address).submit("account", "account/sessions/end-others")
    listed = book.listed
    assert "session_error" in listed and "carla@shop.example" not in listed
    assert "/oidc/authorize?" in book.webmail.http.get("").headers["Location"]


@pytest.mark.parametrize("page", [DESK], indirect=True, ids=["desk"])
def test_a_person_sees_the_contact_and_picks_it_while_writing(page, stack, person) -> None:
    anna = person("picker")
    anna.put(CARD)
    log_in_to_webmail(page, stack.info["webmail"], anna.address, PASSWORD)
    page.wait_for_url(re.compile(r"_task=mail"))
    page.wait_for_load_state("networkidle")
    page.goto(f"{stack.info['webmail']}?_task=mail&_action=compose")
    page.wait_for_url(re.compile(r"_id="))
    page.locator("ul.recipient-input input").first.press_sequentially("carl", delay=50)
    page.locator("#rcmKSearchpane").get_by_text("carla@shop.example").click()
    expect(page.locator("li.recipient")).to_contain_text("Carla")
    page.goto(f"{stack.info['webmail']}?_task=addressbook")
    # The page shows the first book by itself, and would go on with that.
    page.wait_for_load_state("networkidle")
    page.locator("#directorylist").get_by_text("Synced Contacts").click()
    page.locator("#contacts-table").get_by_text("Carla").click()
    expect(page.frame_locator("#contact-frame").get_by_text("carla@shop.example").first).to_be_visible()
