"""Envelope addresses: the only text of a caller that reaches the SMTP command line.

Accepted is what RFC 5321 calls a Mailbox, with four deliberate choices: dots may stand anywhere in a local
part (large Japanese providers issued such addresses), a sender's local part may be longer than 64 octets
(bounce addresses of bulk senders are; the path limit still holds), a quoted local part may hold no angle
brackets, and all is ASCII: an international domain becomes its A-labels, and an international local part does
not pass, since Dovecot's LMTP would not take it (the mail would bounce after 200).
"""

import ipaddress
import re
from dataclasses import dataclass

import idna
from starlette.datastructures import Headers

from mailserver_api.problems import Problem, malformed
from mailserver_api.verdicts import Verdict

SENDER_FIELD = "X-Envelope-From"
RECIPIENT_FIELD = "X-Envelope-To"
MAX_LOCAL = 64
MAX_DOMAIN = 255
MAX_ADDRESS = 254  # a path is at most 256 octets, angle brackets included

_LOCAL = re.compile(
    r"""[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+ | "(?: [ !#-;=?-\[\]-~] | \\[ !-;=?-~] )*" """, re.VERBOSE
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
# What Postfix takes for no address (501), as long as allow_min_user and resolve_numeric_domain are off.
_NOT_FOR_POSTFIX = re.compile(r'"?-.*|.*@[0-9.]+')
_LOOKS_LIKE_ONE = re.compile(r'<?(?:"[^"]*"|[^@"\s]+)@[^@\s]+>?')


class AddressError(ValueError):
    """The text is not an acceptable address; says why."""


@dataclass(frozen=True)
class Envelope:
    """Sender (empty: the null sender) and the one recipient of a message; `stated` is the sender as given."""

    sender: str
    recipient: str
    stated: str = ""


def parse_address(text: str, *, max_local: int = MAX_LOCAL) -> str:
    """Return the address in ASCII, without angle brackets and final dot; raises AddressError.

    `max_local` is in octets, like all limits of RFC 5321.
    """
    local, at, domain = (text[1:-1] if text.startswith("<") and text.endswith(">") else text).rpartition("@")
    if not at:
        raise AddressError("has no @")
    if not _LOCAL.fullmatch(local):
        raise AddressError("has characters before the @ that are not allowed there")
    if len(local) > max_local:
        raise AddressError(f"has more than {max_local} octets before the @")
    address = f"{local}@{_domain(domain)}"
    if len(address) > MAX_ADDRESS:
        raise AddressError(f"is longer than {MAX_ADDRESS} octets")
    return address


def _domain(text: str) -> str:
    if text.startswith("[") and _is_literal(text):
        return text
    text = text.removesuffix(".")
    try:
        name = text if text.isascii() else idna.encode(text, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        name = ""
    if len(name) > MAX_DOMAIN or not all(_LABEL.fullmatch(label) for label in name.split(".")):
        raise AddressError("has no valid domain after the @")
    return name


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
    """Envelope out of the call's headers; raises a Problem: malformed, or unknown-recipient.

    A sender that is no address (the world has `root` and worse) is taken as the null sender: a refusal would
    lose mail, and 400 would have it tried again for days. Nothing bounces after 200, so nobody needs it.
    """
    stated, recipient = _only(headers, SENDER_FIELD), _only(headers, RECIPIENT_FIELD)
    if recipient is None or not _LOOKS_LIKE_ONE.fullmatch(recipient):
        fix = "send exactly one address in ASCII or UTF-8, such as name@example.com"
        raise malformed(RECIPIENT_FIELD, recipient or "", "is not one address", fix)
    try:
        sender = "" if stated in (None, "", "<>") else parse_address(stated, max_local=MAX_ADDRESS)
    except AddressError:
        sender = ""
    if _NOT_FOR_POSTFIX.fullmatch(sender):
        sender = ""
    try:
        return Envelope(sender, parse_address(recipient), stated or "")
    except AddressError as error:
        detail = f"{RECIPIENT_FIELD}: no mailbox here can have this address, it {error}"
        raise Problem(
            Verdict.UNKNOWN_RECIPIENT, detail, field=RECIPIENT_FIELD, value=recipient[:100]
        ) from None


def _only(headers: Headers, field: str) -> str | None:
    """The value of a header that must be there once; None if it is not UTF-8."""
    values = [value for name, value in headers.raw if name == field.lower().encode()]
    if len(values) != 1:
        raise malformed(field, "", f"given {len(values)} times", "send this header exactly once")
    try:
        return values[0].decode()
    except UnicodeDecodeError:
        return None
