"""Radicale, which keeps calendars and address books: what somebody has, one more, one less, contacts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from uuid import uuid4
from xml.etree.ElementTree import Element, SubElement, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from usermgmt.mail.doveadm import Unreachable

PORT = 5232
#: Seconds for all of a call: a page waits for it.
ANSWER_SECONDS = 5
CALENDAR, CONTACTS = "calendar", "addressbook"
DAV = "DAV:"
NAMESPACES = {CALENDAR: "urn:ietf:params:xml:ns:caldav", CONTACTS: "urn:ietf:params:xml:ns:carddav"}
CARDDAV = f"{{{NAMESPACES[CONTACTS]}}}"
ETAG, CARD = f"{{{DAV}}}getetag", f"{CARDDAV}address-data"
#: The last part of an address, as programs and Radicale make it.
KEY = re.compile(r"[A-Za-z0-9_.~@-]{1,200}")


@dataclass(frozen=True)
class Collection:
    """A calendar or an address book; `key` is the last part of its address."""

    key: str
    kind: str
    name: str


@dataclass(frozen=True)
class Radicale:
    """The server; who somebody is, it is told (services/calendars.py)."""

    host: str

    def collections(self, person: str) -> list[Collection]:
        """What somebody has, by name; who comes for the first time has one of each. Raises Unreachable."""
        wanted = Element(f"{{{DAV}}}propfind")
        properties = SubElement(wanted, f"{{{DAV}}}prop")
        for name in ("resourcetype", "displayname"):
            SubElement(properties, f"{{{DAV}}}{name}")
        found = (_collection(response) for response in self._ask("PROPFIND", person, "", wanted))
        return sorted((each for each in found if each), key=lambda each: (each.kind, each.name, each.key))

    def add(self, person: str, kind: str, name: str) -> None:
        """One more of a kind. Raises Unreachable."""
        wanted = Element(f"{{{DAV}}}mkcol")
        properties = SubElement(SubElement(wanted, f"{{{DAV}}}set"), f"{{{DAV}}}prop")
        kinds = SubElement(properties, f"{{{DAV}}}resourcetype")
        SubElement(kinds, f"{{{DAV}}}collection")
        SubElement(kinds, f"{{{NAMESPACES[kind]}}}{kind}")
        SubElement(properties, f"{{{DAV}}}displayname").text = name
        self._call("MKCOL", person, f"{uuid4()}/", wanted)

    def remove(self, person: str, key: str) -> None:
        """One less, with all that is in it. Raises Unreachable."""
        self._call("DELETE", person, f"{key}/")

    def tag(self, person: str, key: str) -> str:
        """What changes with each change of an address book. Raises Unreachable."""
        wanted = Element(f"{{{DAV}}}propfind")
        SubElement(SubElement(wanted, f"{{{DAV}}}prop"), ETAG)
        found = self._ask("PROPFIND", person, f"{key}/", wanted, depth="0")
        return "".join(response.findtext(f".//{ETAG}") or "" for response in found)

    def tags(self, person: str, key: str) -> dict[str, str]:
        """The address of each contact in an address book, and what changes with it. Raises Unreachable."""
        wanted = Element(f"{CARDDAV}addressbook-query")
        SubElement(SubElement(wanted, f"{{{DAV}}}prop"), ETAG)
        SubElement(wanted, f"{CARDDAV}filter")
        return {href: tag for href, tag, _card in self._cards(person, key, wanted)}

    def cards(self, person: str, key: str, hrefs: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Tag and vCard of contacts by their addresses; without those that are gone. Raises Unreachable."""
        wanted = Element(f"{CARDDAV}addressbook-multiget")
        properties = SubElement(wanted, f"{{{DAV}}}prop")
        for name in (ETAG, CARD):
            SubElement(properties, name)
        for href in hrefs:
            SubElement(wanted, f"{{{DAV}}}href").text = href
        return {href: (tag, card) for href, tag, card in self._cards(person, key, wanted) if card}

    def _cards(self, person: str, key: str, wanted: Element) -> Iterable[tuple[str, str, str]]:
        for response in self._ask("REPORT", person, f"{key}/", wanted):
            names = (f"{{{DAV}}}href", f".//{ETAG}", f".//{CARD}")
            href, tag, card = (response.findtext(name) or "" for name in names)
            yield href, tag, card

    def _ask(self, method: str, person: str, path: str, wanted: Element, depth: str = "1") -> list[Element]:
        answer = self._call(method, person, path, wanted, depth)
        try:
            responses: list[Element] = fromstring(answer).findall(f"{{{DAV}}}response")
        except (ParseError, DefusedXmlException) as error:
            raise Unreachable(f"radicale says nothing readable: {error}") from error
        return responses

    def _call(
        self, method: str, person: str, path: str, body: Element | None = None, depth: str = "1"
    ) -> bytes:
        headers = {"X-Remote-User": person, "Depth": depth, "Content-Type": "application/xml; charset=utf-8"}
        content = b"" if body is None else tostring(body, "utf-8", xml_declaration=True)
        connection = HTTPConnection(self.host, PORT, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, f"/{person}/{path}", content, headers)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, HTTPException) as error:
            raise Unreachable(f"radicale cannot be asked: {error}") from error
        finally:
            connection.close()
        if answer.status not in (200, 201, 204, 207):
            raise Unreachable(f"radicale answers {answer.status} {answer.reason}")
        return text


def _collection(response: Element) -> Collection | None:
    """What an element of the answer describes, unless it is the person's folder itself."""
    key = (response.findtext(f"{{{DAV}}}href") or "").rstrip("/").rpartition("/")[2]
    for kind, namespace in NAMESPACES.items():
        if response.find(f".//{{{namespace}}}{kind}") is not None and KEY.fullmatch(key):
            return Collection(key, kind, response.findtext(f".//{{{DAV}}}displayname") or key)
    return None
