import re
from collections.abc import Iterator

from policies.families import ConfigurationRule
from policies.model import Found, Place, Severity
from policies.sources.braces import Block
from policies.sources.configuration import Configuration

TARGETS = (
    "virtual_transport",
    "smtpd_sasl_path",
    "smtpd_milters",
    "smtpd_recipient_restrictions",
    "mailbox_transport",
)
INET = re.compile(r"inet:\[?(?P<host>[a-z][\w.-]*)\]?:(?P<port>\d+)")
SOCKET = re.compile(r"unix:(?P<path>\S+)")
DOVECOT = "config/dovecot/dovecot.conf"


class MAIL_CFG_010(ConfigurationRule):
    """Mail between our own users once failed for weeks, because the transport named a socket that did not
    exist.

    Postfix notices only when it delivers, and Dovecot runs on without a script that it cannot find. So what
    one file names must exist in another: the service in the Compose file, the listener in dovecot.conf, the
    script beside it.
    """

    name = "What Postfix and Dovecot name exists: services, Dovecot's listeners, sieve scripts"
    severity = Severity.HIGH
    fix = "Correct the name or the port, or add what is missing"
    bad = "virtual_transport = lmtp:unix:private/dovecot-lmtp\n"
    good = "virtual_transport = lmtp:inet:dovecot:31024\n"

    def check(self, subject: Configuration) -> Iterator[Found]:
        """Look at what Postfix asks, then at what Dovecot runs."""
        tree = subject.block(DOVECOT)
        main = subject.postfix_main
        if main is not None and subject.services:
            for name in TARGETS:
                yield from self._target(subject, tree, name, main.expanded(name), main.where(name))
        for block in tree.walk() if tree else ():
            path = block.get("path")
            if block.name == "sieve_script" and path.startswith("/etc/dovecot/"):
                file = "config/dovecot/" + path.removeprefix("/etc/dovecot/")
                if file not in subject.repository.files:
                    yield Found(block.where("path"), f"there is no {file}", "the script", "dovecot")

    def _target(
        self, subject: Configuration, tree: Block | None, name: str, value: str, place: Place
    ) -> Iterator[Found]:
        for matched in SOCKET.finditer(value):
            yield Found(
                place,
                f"{name} names the socket {matched['path']} of this container",
                "inet:service:port",
                name,
            )
        for matched in INET.finditer(value):
            host, port = matched["host"], matched["port"]
            if host not in subject.services:
                yield Found(
                    place, f"{name} names {host}, and there is no such service", "a service's name", name
                )
            elif host == "dovecot" and tree is not None and port not in self._ports(tree):
                yield Found(
                    place,
                    f"{name} asks port {port}, where Dovecot does not listen",
                    "a port of dovecot.conf",
                    name,
                )

    def _ports(self, tree: Block) -> set[str]:
        return {block.get("port") for block in tree.walk() if block.name == "inet_listener"}


check = MAIL_CFG_010()
