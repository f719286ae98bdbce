"""MAIL_REP_009: the edge is closed."""

import re
from collections.abc import Iterator
from typing import Any

from policies.model import Found
from policies.shared.located import dig, mapping, sequence, where
from policies.shared.repository import Repository

FILE = "edge/edge.yml"
#: Terms of SPF that cost a DNS look-up, and how many of them a receiver makes (RFC 7208, 4.6.4).
LOOK_UPS = re.compile(r"(?:^|\s)[+?~-]?(?:include|a|mx|ptr|exists|redirect)(?:[:=/]|\s|$)")
MOST = 10
#: Where Compose tells usermgmt the host name of the administration.
COMPOSE = "docker-compose.yml"
ADMIN = re.compile(r"^\s+ADMIN_HOST:\s*[\"']?(?P<host>[\w.-]+)", re.MULTILINE)


def check(subject: Repository) -> Iterator[Found]:
    """Look at the one file of the edge, if there is one."""
    documents = subject.yaml(FILE) if FILE in subject.files else []
    for edge in (each for each in documents if isinstance(each, dict)):
        yield from _tunnel(edge)
        yield from _access(subject, edge)
        yield from _mail(edge)


def _tunnel(edge: Any) -> Iterator[Found]:
    ingress = sequence(dig(edge, "tunnel", "ingress"))
    for number, line in enumerate(ingress, 1):
        closing = mapping(line).get("hostname") is None
        if closing != (number == len(ingress)) or (
            closing and mapping(line).get("service") != "http_status:404"
        ):
            place = where(edge, "tunnel", "ingress", number - 1)
            what = f"line {number} of the tunnel is {mapping(line).get('service')}"
            should = "host names first, and http_status:404 as the last line"
            yield Found(place, what, should, f"edge/ingress/{number}")


def _access(subject: Repository, edge: Any) -> Iterator[Found]:
    found = ADMIN.search(subject.text(COMPOSE)) if COMPOSE in subject.files else None
    guarded = {mapping(each).get("host") for each in sequence(dig(edge, "access", "applications"))}
    for number, line in enumerate(sequence(dig(edge, "tunnel", "ingress"))):
        host = str(mapping(line).get("hostname"))
        if found and host == found["host"] and host not in guarded:
            place = where(edge, "tunnel", "ingress", number)
            what, should = f"{host} is open to the world", "it in access.applications"
            yield Found(place, what, should, f"edge/access/{host}")


def _mail(edge: Any) -> Iterator[Found]:
    zone, signed = edge.get("zone"), dig(edge, "dkim", "domain")
    if signed is not None and signed != zone:
        place = where(edge, "dkim", "domain")
        yield Found(place, f"mail is signed for {signed}", f"{zone}, the zone", "edge/dkim/domain")
    for number, record in enumerate(sequence(edge.get("dns"))):
        text = str(mapping(record).get("content"))
        count = len(LOOK_UPS.findall(text)) if text.startswith("v=spf1") else 0
        if count > MOST:
            what, name = f"the SPF record needs {count} look-ups", mapping(record).get("name")
            yield Found(where(edge, "dns", number), what, f"at most {MOST}", f"edge/spf/{name}")
