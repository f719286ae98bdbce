"""Domain names and mail addresses as this server stores them: lower-case, A-labels, no surprises."""

from __future__ import annotations

import re

import email_validator
import idna
from email_validator import EmailNotValidError, validate_email

from usermgmt.problems import Problem, Refused

# A server at home may well serve mail.test or example.local; names that can never be mail domains stay out.
USABLE_SPECIAL_NAMES = {"test", "local"}
email_validator.SPECIAL_USE_DOMAIN_NAMES = [
    name for name in email_validator.SPECIAL_USE_DOMAIN_NAMES if name not in USABLE_SPECIAL_NAMES
]

# The local part names a folder on disk and a log-in name: letters, digits and these three.
OWN_LOCAL_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9_-])?")
# Postfix has this one for `make probe`: probe_alias in config/postfix/main.cf.
PROBE_LOCAL_PART = "mailctl-probe"
# Old routing characters, which mail servers may take as "send it on from here".
ROUTING_CHARACTERS = re.compile(r"[!%|/`]")


def refuse(field: str, value: str, wrong: str, instead: str, **values: str) -> Refused:
    """A refusal with one problem."""
    return Refused(Problem(field, value, wrong, instead, values))


def without_root_dot(name: str) -> str:
    """People paste names with the dot of DNS at the end; it means the same."""
    return name[:-1] if name.endswith(".") and not name.endswith("..") else name


def parse_domain(value: str, field: str = "name") -> str:
    """The domain as lower-case A-labels; raises Refused."""
    text = without_root_dot(value.strip())
    if "@" in text:
        raise refuse(
            field, value, "This is an address, not a domain.", "Use only what follows the @: example.org."
        )
    try:
        address = validate_email("x@" + text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise refuse(
            field,
            value,
            "This is not a domain name that can receive mail.",
            "Use a name such as example.org: labels of letters, digits and hyphens with dots between them.",
        ) from error
    return (address.ascii_domain or "").lower()


def parse_address(value: str, field: str) -> str:
    """Any mail address, lower-case with the domain as A-labels; raises Refused."""
    text = without_root_dot(value.strip())
    try:
        address = validate_email(text, check_deliverability=False, allow_smtputf8=False, strict=True)
    except EmailNotValidError as error:
        raise refuse(
            field,
            value,
            "This is not a mail address.",
            "Use the form name@example.org, with letters and digits without accents before the @.",
        ) from error
    if ROUTING_CHARACTERS.search(address.local_part) or address.local_part.startswith("-"):
        raise refuse(
            field,
            value,
            "Mail servers may take a character of this address as a routing instruction.",
            "Use an address without ! % | / ` and without a hyphen at its start.",
        )
    return f"{address.local_part}@{address.ascii_domain}".lower()


def parse_own_address(value: str, field: str) -> str:
    """The address of a mailbox or alias on this server; raises Refused."""
    address = parse_address(value, field)
    local_part = address.rpartition("@")[0]
    if "+" in local_part:
        raise refuse(
            field,
            value,
            "The + starts a tag: mail to name+tag reaches name by itself.",
            "Use the address without + and what follows it.",
        )
    if not OWN_LOCAL_PART.fullmatch(local_part):
        raise refuse(
            field,
            value,
            "The part before the @ names a folder and a log-in.",
            "Use letters a-z, digits, dots, hyphens and underscores, beginning with a letter or digit.",
        )
    if local_part == PROBE_LOCAL_PART:
        wrong = "The server sends its own test mail to this address."
        raise refuse(field, value, wrong, "Use another address.")
    return address


def parse_alias_source(value: str, field: str = "source") -> str:
    """An own address, or `@domain` for all of a domain that nothing else takes; raises Refused."""
    text = value.strip()
    if text.startswith("@"):
        return "@" + parse_domain(text[1:], field)
    return parse_own_address(text, field)


def parse_destinations(value: str, field: str = "destinations") -> list[str]:
    """Addresses separated by commas, spaces or line ends, each once; raises Refused for all wrong ones."""
    found: list[str] = []
    problems: list[Problem] = []
    for word in re.split(r"[\s,;]+", value.strip()):
        if not word:
            continue
        try:
            found.append(parse_address(word, field))
        except Refused as refusal:
            problems.extend(refusal.problems)
    if not found and not problems:
        problems.append(
            Problem(field, "", "There is no destination.", "Enter one or more addresses, one on each line.")
        )
    if problems:
        raise Refused(problems)
    return list(dict.fromkeys(found))


def readable_domain(name: str) -> str:
    """A stored domain as people write it: `bücher.example` for `xn--bcher-kva.example`."""
    try:
        return idna.decode(name)
    except idna.IDNAError:
        return name


def untagged(address: str) -> str:
    """The address without +tag: postfix looks that up when it does not find the tagged one."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part.partition('+')[0] or local_part}@{domain}"


def domain_of(address: str) -> str:
    """What follows the @ of a stored address."""
    return address.rpartition("@")[2]
