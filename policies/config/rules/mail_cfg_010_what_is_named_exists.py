import re
from collections.abc import Iterator

from policies.config.reader import Configuration
from policies.config.rule import ConfigurationRule
from policies.model import Found, Place, Severity

TARGETS = (
    "virtual_transport",
    "mailbox_transport",
    "local_transport",
    "relay_transport",
    "default_transport",
    "content_filter",
    "smtpd_sasl_path",
    "smtpd_milters",
    "smtpd_recipient_restrictions",
    "smtpd_end_of_data_restrictions",
)
INET = re.compile(r"(?:inet|lmtp|smtp|relay):\[?(?P<host>[a-z][\w.-]*)\]?:(?P<port>\d+)")
SOCKET = re.compile(r"(?:^|[\s,{])(?:\w+:)?(?P<path>(?:unix:|private/|/)\S+)")
UPSTREAM = re.compile(r"^https?://(?P<host>[a-z][\w.-]*)")
PORT = re.compile(r":(\d+)")
DOVECOT = "config/dovecot/dovecot.conf"
PIPED = re.compile(r"^\s*(?:pipe|filter|execute)\s+(?::\w+\s+)*\"(?P<program>[^\"]+)\"", re.MULTILINE)


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
        """Look at what Postfix asks, at what Dovecot runs, then at other services' names."""
        for file, name, value, place in self._named(subject):
            yield from self._target(subject, file, name, value, place)
        tree = subject.block(DOVECOT)
        for block in tree.walk() if tree else ():
            path = block.get("path")
            if block.name == "sieve_script" and path.startswith("/etc/dovecot/"):
                file = "config/dovecot/" + path.removeprefix("/etc/dovecot/")
                if file not in subject.repository.files:
                    yield Found(block.where("path"), f"there is no {file}", "the script", "dovecot")
        folder = tree.get("sieve_pipe_bin_dir") if tree else ""
        if folder.startswith("/etc/dovecot"):
            yield from self._programs(subject, "config/dovecot" + folder.removeprefix("/etc/dovecot"))
        if subject.services:
            yield from self._hosts(subject)

    def _named(self, subject: Configuration) -> Iterator[tuple[str, str, str, Place]]:
        """Yield each setting of Postfix that names something to ask, with its value."""
        seen = set()
        for _, view in subject.views() if subject.services else ():
            for name in TARGETS:
                value, place = view.expanded(name), view.where(name)
                if value and (place, value) not in seen:
                    seen.add((place, value))
                    yield view.file, name, value, place

    def _target(
        self, subject: Configuration, file: str, name: str, value: str, place: Place
    ) -> Iterator[Found]:
        if name == "virtual_transport" and ":" not in value:
            what = f"{name} is {value}, which delivers into this container"
            yield Found(place, what, "lmtp:inet:dovecot:port", name)
        for matched in SOCKET.finditer(value):
            what = f"{name} names the socket {matched['path']} of this container"
            yield Found(place, what, "inet:service:port", name)
        for matched in INET.finditer(value):
            host, port = matched["host"], matched["port"]
            ports = self._ports(subject, host)
            if host not in subject.services:
                what = f"{name} names {host}, and there is no such service"
                yield Found(place, what, "a service's name", name)
            elif ports and port not in ports:
                what = f"{name} asks port {port}, where {host} does not listen"
                yield Found(place, what, f"one of its ports: {', '.join(sorted(ports))}", name)

    def _ports(self, subject: Configuration, host: str) -> set[str]:
        """Return the ports on which a service listens as far as its files say so."""
        if host == "dovecot" and (tree := subject.block(DOVECOT)):
            return {block.get("port") for block in tree.walk() if block.name == "inet_listener"}
        workers = subject.blocks("ucl", "config/rspamd/") if host == "rspamd" else []
        sockets = [each.value for tree in workers for each in tree.all("bind_socket")]
        return {port for socket in sockets for port in PORT.findall(socket)}

    def _programs(self, subject: Configuration, folder: str) -> Iterator[Found]:
        """Look for the programs that sieve scripts start."""
        for file in subject.files("sieve"):
            text = subject.text(file) or ""
            for matched in PIPED.finditer(text):
                program = f"{folder}/{matched['program']}"
                if program not in subject.repository.files:
                    line = text.count("\n", 0, matched.start("program")) + 1
                    yield Found(Place(file, line), f"there is no {program}", "the program", "dovecot")

    def _hosts(self, subject: Configuration) -> Iterator[Found]:
        """Look at the hosts in Postfix's queries and in nginx."""
        named = []
        for file in subject.files("postfix parameters", "config/postfix/sql/"):
            query = subject.flat(file)
            named += [(host, query.where("hosts")) for host in query.get("hosts").split()]
        for tree in subject.blocks("nginx"):
            for setting in (each for block in tree.walk() for each in block.settings):
                for word in setting.value.split() if setting.name in ("proxy_pass", "set") else ():
                    if matched := UPSTREAM.match(word):
                        named.append((matched["host"], setting.place))
        for host, place in named:
            if host not in subject.services and "/" not in host:
                yield Found(place, f"{host} is no service", "a service's name", host)


check = MAIL_CFG_010()
