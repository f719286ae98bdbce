"""Outages of a running stack, each with the incident that the monitor is to make of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.stack.clients import Edge, Mailboxes, message
from tests.stack.guessers import guessed
from tests.stack.stack import Stack, eventually, run

if TYPE_CHECKING:
    from tests.stack.test_monitor import Watch

HOUR, DAY = 3600, 86400
RELAY = Path(__file__).with_name("refusing_relay.py")
Break = Callable[["Watch"], AbstractContextManager[None]]


@dataclass(frozen=True)
class Outage:
    """`breaks` is in force while the monitor looks; `hold`: how long it must be before the alarm, in seconds.
    The short ones are in `make test`.
    """

    name: str
    incident: str
    breaks: Break
    hold: int = 60
    short: bool = False


def down(service: str) -> Break:
    return lambda watch: watch.breaker.down(service)


@contextmanager
def crashing(watch: Watch) -> Iterator[None]:
    """nginx dies again and again, and the engine starts it each time."""
    for _ in range(3):
        watch.breaker.crash("nginx")
    yield
    watch.stack.healthy("nginx")


def relay_refuses(what: str) -> Break:
    """Another relay answers in the place of the sink, and mail is sent."""

    @contextmanager
    def refused(watch: Watch) -> Iterator[None]:
        stack, name = watch.stack, f"{watch.stack.project}-refusing-relay"
        aliases = stack.inspect("mailpit")["NetworkSettings"]["Networks"][f"{stack.project}_egress"][
            "Aliases"
        ]
        relay = next(alias for alias in aliases if "." in alias)
        port = stack.exec("postfix", "postconf", "-hx", "relayhost").strip().rpartition(":")[2]
        secrets = stack.repository / ".local/secrets"
        words = (
            "docker",
            "run",
            "--detach",
            "--name",
            name,
            "--label=com.docker.compose.project=",
            "--user=0",
        )
        words += (f"--network={stack.project}_egress", f"--network-alias={relay}", "--entrypoint=python3")
        words += ("--volume", f"{RELAY}:/relay.py:ro", "--volume", f"{secrets}:/tls:ro")
        with watch.breaker.cut("egress", "mailpit"):
            image = stack.inspect("mailserver-api")["Image"]
            run(
                *words,
                image,
                "/relay.py",
                port,
                "/tls/sink_tls.crt",
                "/tls/sink_tls.key",
                what,
                cwd=RELAY.parent,
            )
            try:
                send(watch.mailboxes, 3)
                eventually(lambda: tried(stack), limit=60)
                yield
            finally:
                subprocess.run(
                    ["docker", "rm", "--force", name], capture_output=True, timeout=300, check=False
                )
        stack.exec("postfix", "postqueue", "-f")
        eventually(lambda: not stack.exec("postfix", "postqueue", "-j").strip(), limit=90)

    return refused


def tried(stack: Stack) -> bool:
    """Whether Postfix has tried all that it has."""
    queue = stack.exec("postfix", "postqueue", "-j").splitlines()
    return all(json.loads(line)["queue_name"] == "deferred" for line in queue)


def send(mailboxes: Mailboxes, count: int) -> None:
    writer = mailboxes.new()
    for number in range(count):
        mail = message(f"to the relay {number}", sender=writer.address, received=False)
        writer.send(mail, f"friend{number}@far.example")


@contextmanager
def refused_by_the_database(watch: Watch) -> Iterator[None]:
    grant = "SELECT (id, name, active) ON mailserver.domains"
    host = watch.stack.sql("SELECT host FROM mysql.user WHERE user = 'postfix'")
    watch.stack.sql(f"REVOKE {grant} FROM postfix@'{host}'")
    try:
        yield
    finally:
        watch.stack.sql(f"GRANT {grant} TO postfix@'{host}'")


@contextmanager
def full(watch: Watch) -> Iterator[None]:
    watch.given["used"] = 0.99
    try:
        yield
    finally:
        del watch.given["used"]


@contextmanager
def backup_stopped(watch: Watch) -> Iterator[None]:
    """No backup for more than a day."""
    watch.backed_up = False
    watch.now += 27 * HOUR
    try:
        yield
    finally:
        watch.backed_up = True


def left(name: str, text: str) -> Break:
    """Another command has left a bad result for the monitor."""

    @contextmanager
    def bad(watch: Watch) -> Iterator[None]:
        watch.results[name] = {"ok": False, "text": text}
        try:
            yield
        finally:
            watch.results[name] = {"ok": True, "text": ""}

    return bad


@contextmanager
def names_do_not_resolve(watch: Watch) -> Iterator[None]:
    with watch.breaker.cut("egress", "postfix"):
        yield


@contextmanager
def scanner_in_trouble(watch: Watch) -> Iterator[None]:
    """It cannot store what it is to scan and answers with an error, and mail comes in."""
    reader, edge = watch.mailboxes.new(), Edge(watch.stack.info)
    fill = "head -c 400000000 /dev/zero >/tmp/full 2>/dev/null; test -s /tmp/full"
    watch.stack.exec("clamav", "sh", "-c", fill)
    try:
        for number in range(2):
            answer = edge.post(message(f"unscanned {number}"), reader.address)
            assert answer.status_code == 503, answer.text
        yield
    finally:
        watch.stack.exec("clamav", "rm", "/tmp/full")  # noqa: S108 (inside the container)


@contextmanager
def old_signatures(watch: Watch) -> Iterator[None]:
    touch = "touch --date '{}' /var/lib/clamav/*"
    watch.now += HOUR
    watch.stack.exec("clamav", "sh", "-c", touch.format("5 days ago"))
    try:
        yield
    finally:
        watch.stack.exec("clamav", "sh", "-c", touch.format("tomorrow"))


@contextmanager
def clock_not_kept(watch: Watch) -> Iterator[None]:
    watch.clock("no")
    try:
        yield
    finally:
        watch.clock("yes")


@contextmanager
def lists_refuse(watch: Watch) -> Iterator[None]:
    """What rspamd says when a list answers its own check with a refusal."""
    line = "monitored; rspamd_monitored_dns_cb: DNS query blocked on multi.uribl.com (127.0.0.1 returned)"
    for _ in range(3):
        watch.stack.exec("rspamd", "sh", "-c", f"echo '{line}' >/proc/1/fd/1")
    yield


@contextmanager
def tunnel_disconnected(watch: Watch) -> Iterator[None]:
    """A container in the tunnel's place, whose healthcheck says that nothing is connected."""
    stack = watch.stack
    name, image = f"{stack.project}-cloudflared-1", stack.inspect("mailserver-api")["Image"]
    labels = {"com.docker.compose.project": stack.project, "com.docker.compose.service": "cloudflared"}
    labels |= {"com.docker.compose.oneoff": "False", "com.docker.compose.depends_on": ""}
    marks = [f"--label={key}={value}" for key, value in labels.items()]
    check = ("--health-cmd=test -f /tmp/connected", "--health-interval=1s", "--health-retries=1")
    options = ("--detach", "--network=none", "--entrypoint=sleep", f"--name={name}", *marks, *check)
    run("docker", "run", *options, image, "infinity", cwd=RELAY.parent)
    try:
        eventually(lambda: stack.inspect("cloudflared")["State"]["Health"]["Status"] == "unhealthy", limit=60)
        yield
        stack.exec("cloudflared", "touch", "/tmp/connected")  # noqa: S108 (inside)
        stack.healthy("cloudflared")
    finally:
        # Not before the all-clear: a service that is gone is another incident.
        watch.leftovers.append(name)


def hung(service: str, program: str) -> Break:
    """A program takes connections and says nothing; its healthcheck notices after three attempts."""

    @contextmanager
    def stopped(watch: Watch) -> Iterator[None]:
        def signal(name: str) -> None:
            # Inside the container: its processes, and no other stack's of the same name.
            watch.stack.exec(service, "sh", "-c", f"kill -{name} $(pidof {program})")

        def state() -> str:
            return watch.stack.inspect(service)["State"]["Health"]["Status"]

        signal("STOP")
        try:
            eventually(lambda: state() == "unhealthy", limit=240, every=1)
            yield
        finally:
            signal("CONT")
        watch.stack.healthy(service)

    return stopped


OUTAGES = (
    Outage("postfix stopped", "service-postfix", down("postfix"), short=True),
    Outage("relay refuses the log-in", "relay-login", relay_refuses("login"), hold=0, short=True),
    Outage("database refuses Postfix", "database", refused_by_the_database, short=True),
    Outage("disk full", "disk-full-ssd", full, short=True),
    Outage("a password is guessed", "guessing", guessed, hold=0, short=True),
    Outage("backup stopped", "late-backup", backup_stopped, hold=0, short=True),
    *(
        Outage(f"{name} stopped", f"service-{name}", down(name))
        for name in (
            "mariadb",
            "dovecot",
            "valkey",
            "clamav",
            "rspamd",
            "roundcube",
            "mailserver-api",
            "usermgmt",
            "nginx",
        )
    ),
    Outage("nginx crashes again and again", "service-nginx", crashing),
    Outage("scanner hangs", "service-clamav", hung("clamav", "clamd")),
    Outage("scanner answers with an error", "scanner", scanner_in_trouble, hold=0),
    Outage("signatures old", "signatures", old_signatures, hold=0),
    Outage("tunnel disconnected", "tunnel", tunnel_disconnected),
    Outage("queue stuck: relay does not answer", "deferred-relay", relay_refuses("connection")),
    Outage("relay refuses each recipient", "undeliverable", relay_refuses("recipients"), hold=0),
    Outage("names do not resolve", "resolver", names_do_not_resolve, hold=120),
    Outage("block lists refuse", "lists", lists_refuse, hold=0),
    Outage("DNS record wrong", "dns", left("dns", "MX example.com: missing"), hold=0),
    Outage("probe lost", "probe", left("probe", "did not come back"), hold=0),
    # It is asked every ten minutes, and must be wrong for half an hour.
    Outage("clock not kept", "clock", clock_not_kept, hold=2400),
)
