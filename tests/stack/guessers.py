"""Six attackers guess one password from many addresses, by IMAP, submission, ManageSieve and the log-in page.

In the mail network each has an address of its own, far from the others', in a container that has all six. On
the pages each comes from one address after another, as Cloudflare would name them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING

from tests.stack.clients import PASSWORD, Mailbox, Webmail
from tests.stack.stack import Stack, run
from tests.stack.test_usermgmt_account import opens

if TYPE_CHECKING:
    from tests.stack.test_monitor import Watch

ATTACKERS, ADDRESSES_EACH = 6, 4
#: Runs in the container: takes the addresses, guesses from each, and prints what was let in.
GUESS = """import concurrent.futures, fcntl, imaplib, json, smtplib, socket, ssl, struct, sys
from base64 import b64encode
given = json.loads(sys.argv[1])
who, trusted = given["who"], ssl.create_default_context(cafile="/ca.crt")
for number, address in enumerate(given["addresses"]):
    # SIOCSIFADDR
    name = f"eth0:{number}".encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any:
        fcntl.ioctl(any, 0x8916, struct.pack("16sH2x4s8x", name, socket.AF_INET, socket.inet_aton(address)))

def imap(here, password):
    class From(imaplib.IMAP4):
        def _create_socket(self, timeout):
            return socket.create_connection((self.host, self.port), 60, (here, 0))
    session = From("dovecot", 31143)
    session.starttls(trusted)
    try:
        return session.login(who, password)[0] == "OK"
    except imaplib.IMAP4.error:
        return False

def submission(here, password):
    with smtplib.SMTP("postfix", 587, timeout=60, source_address=(here, 0)) as session:
        session.starttls(context=trusted)
        try:
            return session.login(who, password)[0] == 235
        except smtplib.SMTPAuthenticationError:
            return False

def sieve(here, password):
    def answer():
        return next(line for line in lines if line.startswith((b"OK", b"NO", b"BYE")))
    plain = socket.create_connection(("dovecot", 34190), 60, (here, 0))
    lines = plain.makefile("rb")
    answer()
    plain.sendall(b"STARTTLS\\r\\n")
    answer()
    session = trusted.wrap_socket(plain, server_hostname="dovecot")
    lines = session.makefile("rb")
    answer()
    words = b64encode(f"\\0{who}\\0{password}".encode()).decode()
    session.sendall(f'AUTHENTICATE "PLAIN" "{words}"\\r\\n'.encode())
    return answer().startswith(b"OK")

ways = (imap, submission, sieve)
tries = [
    (way, here, given.get("password") or f"{way.__name__} {number}")
    for number in range(given.get("guesses", 1)) for here in given["addresses"] for way in ways
]
with concurrent.futures.ThreadPoolExecutor(18) as pool:
    found = list(pool.map(lambda each: each[0](*each[1:]), tries))
print(*(f"{way.__name__} {here}" for (way, here, _), taken in zip(tries, found) if taken))
"""


def guess_by_mail(stack: Stack, who: str, **given: object) -> str:
    """Guess in the mail network, each attacker by every protocol; who was let in."""
    name = f"{stack.project}_mail"
    network = ip_network(
        json.loads(run("docker", "network", "inspect", name, cwd=stack.repository))[0]["IPAM"]["Config"][0][
            "Subnet"
        ]
    )
    step = network.num_addresses // (ATTACKERS + 2)
    addresses = [str(network[(number + 1) * step + 3]) for number in range(ATTACKERS)]
    options = (
        f"--network={name}",
        "--cap-add=NET_ADMIN",
        "--user=0",
        "--entrypoint=python3",
        "--label=com.docker.compose.project=",
    )
    options += (f"--volume={stack.info['ca_file']}:/ca.crt:ro", stack.inspect("mailserver-api")["Image"])
    words = json.dumps({"who": who, "addresses": addresses, **given})
    return run("docker", "run", "--rm", *options, "-c", GUESS, words, cwd=stack.repository, limit=120).strip()


def web_addresses() -> Iterator[str]:
    """Where the attackers come from on the pages, each from a network of its own."""
    return (f"198.18.{number}.7" for number in range(ATTACKERS * ADDRESSES_EACH))


@contextmanager
def guessed(watch: Watch) -> Iterator[None]:
    """The attack. Nobody who guesses gets in, and everybody else does; an hour later it is over."""
    stack, person, neighbour = watch.stack, watch.mailboxes.new(), watch.mailboxes.new()
    first = Webmail(stack.info, "203.0.113.150")
    assert first.log_in(person.address, PASSWORD).status_code == 302
    assert person.imap.noop()[0] == "OK"
    watch.given["tells"] = True
    try:
        assert guess_by_mail(stack, person.address, guesses=2) == ""
        for address in web_addresses():
            assert Webmail(stack.info, address).log_in(person.address, "a guess").status_code == 401
        assert guess_by_mail(stack, person.address, password=PASSWORD) == "", "the right one is held as well"
        guesser = next(web_addresses())
        known = Webmail(stack.info, guesser)
        known.account.cookies.set("device", first.account.cookies["device"])
        assert known.log_in(person.address, PASSWORD).status_code == 302, "her browser, beside a guesser"
        assert Webmail(stack.info, "203.0.113.151").log_in(person.address, PASSWORD).status_code == 302, (
            "a new one"
        )
        assert Webmail(stack.info, guesser).log_in(neighbour.address, PASSWORD).status_code == 302
        assert opens(Mailbox(person.address, stack.info)), "her phone"
        yield
        stack.sql(
            "UPDATE login_attempts SET at = at - INTERVAL 61 MINUTE WHERE account = @who", who=person.address
        )
        watch.look(300)
    finally:
        del watch.given["tells"]
