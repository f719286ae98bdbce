"""Envelope addresses: the only text of a caller that reaches the SMTP command line.

Accepted is what RFC 5321 calls a Mailbox, with three deliberate choices: dots may stand anywhere in a local
part (large Japanese providers issued such addresses), a sender's local part may be longer than 64 octets
(bounce addresses of bulk senders are; the path limit still holds), and a quoted local part may hold neither
blanks nor angle brackets.
"""

import ipaddress
import re
from dataclasses import dataclass

from starlette.datastructures import Headers

from mailserver_api.problems import malformed

SENDER_FIELD = "X-Envelope-From"
RECIPIENT_FIELD = "X-Envelope-To"
MAX_LOCAL = 64
MAX_DOMAIN = 255
MAX_ADDRESS = 254  # a path is at most 256 octets, angle brackets included

_UTF8 = r"\u0080-\U0010ffff"  # narrowed to printable characters by parse_address
_ATEXT = rf"A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_UTF8}-"
_LOCAL = re.compile(
    rf"""[{_ATEXT}.]+ | "(?: [!#-;=?-\[\]-~{_UTF8}] | \\[!-;=?-~] )*" """,
    re.VERBOSE,
)
_LABEL = re.compile(rf"[A-Za-z0-9_{_UTF8}](?:[A-Za-z0-9_{_UTF8}-]{{0,61}}[A-Za-z0-9_{_UTF8}])?")


class AddressError(ValueError):
    """The text is not an acceptable address; says why."""


@dataclass(frozen=True)
class Envelope:
    """Sender (empty: the null sender) and the one recipient of a message."""

    sender: str
    recipient: str

    @property
    def needs_smtputf8(self) -> bool:
        """Whether an address cannot be written in ASCII (RFC 6531)."""
        return not (self.sender + self.recipient).isascii()


def parse_address(text: str, *, max_local: int = MAX_LOCAL) -> str:
    """Return the address, without angle brackets; raises AddressError.

    `max_local` is in octets, like all limits of RFC 5321.
    """
    address = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    local, at, domain = address.rpartition("@")
    if not at:
        raise AddressError("has no @")
    if not address.isprintable():
        raise AddressError("has control or invisible characters")
    if len(address.encode()) > MAX_ADDRESS:
        raise AddressError(f"is longer than {MAX_ADDRESS} octets")
    if not _LOCAL.fullmatch(local):
        raise AddressError("has characters before the @ that are not allowed there")
    if len(local.encode()) > max_local:
        raise AddressError(f"has more than {max_local} octets before the @")
    if not _is_domain(domain):
        raise AddressError("has no valid domain after the @")
    return address


def _is_domain(domain: str) -> bool:
    if domain.startswith("["):
        return _is_literal(domain)
    labels = domain.split(".")
    return len(domain.encode()) <= MAX_DOMAIN and all(_LABEL.fullmatch(label) for label in labels)


def _is_literal(domain: str) -> bool:
    inner = domain[1:-1]
    version6 = inner.removeprefix("IPv6:")
    try:
        address = ipaddress.ip_address(version6)
    except ValueError:
        return False
    is_tagged = version6 != inner
    return domain.endswith("]") and "%" not in inner and (address.version == 6) == is_tagged


def parse_envelope(headers: Headers) -> Envelope:
    """Envelope out of the call's headers; raises a malformed Problem that names field, value and fix."""
    sender = _only(headers, SENDER_FIELD)
    recipient = _only(headers, RECIPIENT_FIELD)
    if sender in ("", "<>"):
        sender = ""
    else:
        sender = _checked(SENDER_FIELD, sender, MAX_ADDRESS, "an address, or <> for the null sender")
    return Envelope(sender, _checked(RECIPIENT_FIELD, recipient, MAX_LOCAL, "exactly one address"))


def _only(headers: Headers, field: str) -> str:
    values = [value for name, value in headers.raw if name == field.lower().encode()]
    if len(values) != 1:
        raise malformed(field, "", f"given {len(values)} times", "send this header exactly once")
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        raise malformed(field, repr(values[0]), "is not UTF-8", "send ASCII or UTF-8") from None


def _checked(field: str, value: str, max_local: int, wanted: str) -> str:
    try:
        return parse_address(value, max_local=max_local)
    except AddressError as error:
        raise malformed(field, value, str(error), f"send {wanted}, such as name@example.com") from None
