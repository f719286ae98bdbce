"""MAIL_CFG_010: what Postfix and Dovecot name exists."""

import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.model import Found, Place

TARGETS = (
    *("virtual_transport", "mailbox_transport", "local_transport", "relay_transport", "default_transport"),
    *("smtpd_sasl_path", "smtpd_milters", "smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"),
)
INET = re.compile(r"(?:inet|lmtp|smtp|relay):\[?(?P<host>[a-z][\w.-]*)\]?:\d+")
#: By itself or behind a transport; what follows another word and a colon is a table, texthash:/etc/postfix/….
SOCKET = re.compile(r"(?:^|[\s,{])(?:(?:lmtp|smtp|relay):)?(?P<path>(?:unix:|private/|/)[^\s,]+)")
DOVECOT = "config/dovecot/dovecot.conf"


def check(subject: Configuration) -> Iterator[Found]:
    """Look at what Postfix asks, then at what Dovecot runs."""
    found = {}
    for _, view in subject.views() if subject.services else ():
        for name in TARGETS:
            if value := view.expanded(name):
                found.setdefault((view.where(name), value), (name, value, view.where(name)))
    for name, value, place in found.values():
        yield from _target(subject, name, value, place)
    tree = subject.block(DOVECOT)
    for block in tree.walk() if tree else ():
        path = block.get("path")
        file, ours = "config/dovecot/" + path.removeprefix("/etc/dovecot/"), path.startswith("/etc/dovecot/")
        if block.name == "sieve_script" and ours and file not in subject.repository.files:
            yield Found(block.where("path"), f"there is no {file}", "the script", f"dovecot/{path}")


def _target(subject: Configuration, name: str, value: str, place: Place) -> Iterator[Found]:
    entity = f"postfix/{name}"
    if name == "virtual_transport" and ":" not in value:
        what = f"{name} is {value}, which delivers into this container"
        yield Found(place, what, "lmtp:inet:dovecot:port", entity)
    for matched in SOCKET.finditer(value):
        what = f"{name} names the socket {matched['path']} of this container"
        yield Found(place, what, "inet:service:port", entity)
    for matched in INET.finditer(value):
        host = matched["host"]
        if host not in subject.services:
            what = f"{name} names {host}, and there is no such service"
            yield Found(place, what, "a service's name", entity)
