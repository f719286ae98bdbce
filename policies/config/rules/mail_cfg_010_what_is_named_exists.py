"""MAIL_CFG_010: what Postfix, Dovecot and nginx name exists."""

import re
from collections.abc import Iterator

from policies.config.braces import Block
from policies.config.reader import Configuration
from policies.model import Found, Place

TARGETS = (
    *("virtual_transport", "mailbox_transport", "local_transport", "relay_transport", "default_transport"),
    *("smtpd_sasl_path", "smtpd_milters", "smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"),
)
INET = re.compile(r"(?:inet|lmtp|smtp|relay):\[?(?P<host>[a-z][\w.-]*)\]?:(?P<port>\d+)")
SOCKET = re.compile(r"(?:^|[\s,{])(?:\w+:)?(?P<path>(?:unix:|private/|/)\S+)")
UPSTREAM = re.compile(r"^https?://(?P<host>[a-z][\w.-]*)")
DOVECOT = "config/dovecot/dovecot.conf"


def check(subject: Configuration) -> Iterator[Found]:
    """Look at what Postfix asks, at what Dovecot runs, then at other services' names."""
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
        file = "config/dovecot/" + path.removeprefix("/etc/dovecot/")
        if block.name == "sieve_script" and path.startswith("/etc/dovecot/") and not subject.has(file):
            yield Found(block.where("path"), f"there is no {file}", "the script", f"dovecot/{path}")
    if subject.services:
        yield from _hosts(subject)


def _target(subject: Configuration, name: str, value: str, place: Place) -> Iterator[Found]:
    entity = f"postfix/{name}"
    if name == "virtual_transport" and ":" not in value:
        what = f"{name} is {value}, which delivers into this container"
        yield Found(place, what, "lmtp:inet:dovecot:port", entity)
    for matched in SOCKET.finditer(value):
        what = f"{name} names the socket {matched['path']} of this container"
        yield Found(place, what, "inet:service:port", entity)
    for matched in INET.finditer(value):
        host, port = matched["host"], matched["port"]
        ports = _ports(subject, host)
        if host not in subject.services:
            yield Found(
                place, f"{name} names {host}, and there is no such service", "a service's name", entity
            )
        elif ports and port not in ports:
            what = f"{name} asks port {port}, where {host} does not listen"
            yield Found(place, what, f"one of its ports: {', '.join(sorted(ports))}", entity)


def _ports(subject: Configuration, host: str) -> set[str]:
    """Return the ports on which a service listens as far as its files say so."""
    if host == "dovecot" and (tree := subject.block(DOVECOT)):
        return {block.get("port") for block in tree.walk() if block.name == "inet_listener"}
    workers = subject.blocks("ucl", "config/rspamd/") if host == "rspamd" else []
    sockets = [each.value for tree in workers for each in tree.all("bind_socket")]
    return {port for socket in sockets for port in re.findall(r":(\d+)", socket)}


def _hosts(subject: Configuration) -> Iterator[Found]:
    """Look at the hosts in Postfix's queries and in nginx."""
    named = []
    for file in subject.files("postfix parameters", "config/postfix/sql/"):
        query = subject.flat(file)
        named += [(host, query.where("hosts")) for host in query.get("hosts").split()]
    for block in (each for tree in subject.blocks("nginx") for each in tree.walk()):
        named += _upstreams(block)
    for host, place in named:
        if host not in subject.services and "/" not in host:
            yield Found(place, f"{host} is no service", "a service's name", f"{place.file}/{host}")


def _upstreams(block: Block) -> Iterator[tuple[str, Place]]:
    for setting in block.settings:
        for word in setting.value.split() if setting.name in ("proxy_pass", "set") else ():
            if matched := UPSTREAM.match(word):
                yield matched["host"], setting.place
