"""Radicale, which keeps calendars and address books: what somebody has, one more, one less."""

from __future__ import annotations

import re
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
        answer = self._call("PROPFIND", person, "", wanted)
        try:
            responses = fromstring(answer).findall(f"{{{DAV}}}response")
        except (ParseError, DefusedXmlException) as error:
            raise Unreachable(f"radicale says nothing readable: {error}") from error
        found = (_collection(response) for response in responses)
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

    def _call(self, method: str, person: str, path: str, body: Element | None = None) -> bytes:
        headers = {"X-Remote-User": person, "Depth": "1", "Content-Type": "application/xml; charset=utf-8"}
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
