"""Inbound mail a second, from the HTTP call to the mailbox, against `smtp-source` into the same Postfix.

Behind Postfix both take the same path (rspamd, ClamAV, LMTP) with the same mail, in turns. A resolver
in rspamd's own network answers every question at once: without one, its timeouts would set the pace of both.
"""

from __future__ import annotations

import http.client
import re
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from tests.stack.clients import Accounts, Edge, Mailbox, Mailboxes, message
from tests.stack.stack import eventually

MAILS = 200
ROUNDS = 3
AT_ONCE = (1, 8, 50)
MAILBOXES = (1, 10_000)
SIZE = 10_000
DNS_PORT = 5353
# Answers every question with "there is no such name", as a resolver nearby does from its cache.
RESOLVER = f"""
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", {DNS_PORT}))
while True:
    q, who = s.recvfrom(4096)
    end = q.index(b"\\0", 12) + 5
    s.sendto(q[:2] + b"\\x81\\x83" + q[4:6] + b"\\0" * 6 + q[12:end], who)
"""
FILL = """
INSERT INTO mailboxes
  (domain_id, email, password_hash, display_name, quota_bytes, active, created_at, updated_at)
SELECT m.domain_id, CONCAT('bulk-', s.seq, '@', d.name), m.password_hash, '', m.quota_bytes, 1, NOW(), NOW()
  FROM mailboxes m JOIN domains d ON d.id = m.domain_id JOIN seq_1_to_{count} s WHERE m.email = '{like}';
"""


def prepare(project: Path) -> None:
    """Edit a generated repository for this measurement: the resolver, and 50 sessions for smtp-source."""
    options = project / "config/rspamd/local.d/options.inc"
    nameserver = f'dns {{\n  nameserver = ["127.0.0.1:{DNS_PORT}"];'
    options.write_text(options.read_text().replace("dns {", nameserver, 1))
    master = project / "config/postfix/master.cf"
    limit = re.compile(r"(smtpd_client_connection_count_limit)=\d+")
    master.write_text(limit.sub(r"\1=0", master.read_text()))


def start_resolver(stack) -> str:
    """Start it in rspamd's network; return its container, which `docker rm --force` ends."""
    command = ["docker", "run", "--detach", "--network", f"container:{stack.container('rspamd')}"]
    image = stack.inspect("mailserver-api")["Image"]
    done = subprocess.run(
        [*command, "--entrypoint", "python", image, "-c", RESOLVER],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def rates(stack, folder: Path) -> list[tuple[int, int, float, float]]:
    """For each number of mailboxes and of mails at once: mails a second by the API, and by smtp-source."""
    reader = Mailboxes(stack.info, Accounts(stack.info)).new("bench", quota="10G")
    results = []
    for count in MAILBOXES:
        if count > 1:
            fill = FILL.format(count=count, like=reader.address)
            client = 'mariadb -uroot -p"$(cat /run/secrets/mariadb_root_password)" mailserver'
            stack.exec("mariadb", "sh", "-c", client, stdin=fill)
        for at_once in AT_ONCE:
            rounds = [
                (by_api(stack, reader, at_once), by_smtp(stack, reader, at_once, folder))
                for _ in range(ROUNDS)
            ]
            ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"{count} mailboxes, {at_once} at once: {rounds}", flush=True)
            results.append((count, at_once, ours, theirs))
    return results


def by_api(stack, reader: Mailbox, at_once: int) -> float:
    """Mails a second through mailserver-api until the last is in the mailbox; every answer must be 200."""
    mails = [_mail(reader.address) for _ in range(MAILS)]
    headers = {
        "Authorization": f"Bearer {Edge(stack.info).token}",
        "X-Envelope-From": "writer@sender.example",
        "X-Envelope-To": reader.address,
    }

    def post(share: list[bytes]) -> None:
        connection = http.client.HTTPConnection(urlsplit(stack.info["api"]).netloc, timeout=120)
        for mail in share:
            connection.request("POST", "/v1/messages", mail, headers)
            answer = connection.getresponse()
            if (text := answer.read()) and answer.status != 200:
                raise RuntimeError(f"{answer.status}: {text!r}")
        connection.close()

    before, start = _count(reader), time.time()
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(post, (mails[first::at_once] for first in range(at_once))))
    return _until(reader, before, start)


def by_smtp(stack, reader: Mailbox, at_once: int, folder: Path) -> float:
    """The same by smtp-source, from a container of its own in the network of mailserver-api."""
    (folder / "mail").write_bytes(_mail(reader.address).replace(b"\r\n", b"\n"))
    command = [
        "docker",
        "run",
        "--rm",
        "--network",
        f"{stack.project}_mail",
        "--volume",
        f"{folder}:/bench:ro",
    ]
    image = stack.inspect("postfix")["Image"]
    # The clock starts when the container has: its start is no part of the comparison.
    command += ["--entrypoint", "sh", image, "-c", 'date +%s.%N; exec smtp-source "$@"', "smtp-source"]
    command += ["-F", "/bench/mail", "-s", str(at_once), "-m", str(MAILS)]
    command += ["-f", "writer@sender.example", "-t", reader.address]
    address = stack.inspect("postfix")["NetworkSettings"]["Networks"][f"{stack.project}_mail"]["IPAddress"]
    before = _count(reader)
    done = subprocess.run([*command, f"{address}:25"], check=True, capture_output=True, text=True)
    return _until(reader, before, float(done.stdout.split()[0]))


def _mail(to: str) -> bytes:
    raw = message("benchmark", to=to).as_bytes().replace(b"\n", b"\r\n")
    line = b"The ferry leaves at nine, so please be there before it does.\r\n"
    return raw + line * ((SIZE - len(raw)) // len(line))


def _count(reader: Mailbox) -> int:
    answer = reader.imap.status("INBOX", "(MESSAGES)")[1][0]
    return int(re.search(rb"MESSAGES (\d+)", answer)[1])


def _until(reader: Mailbox, before: int, start: float) -> float:
    eventually(lambda: _count(reader) >= before + MAILS, limit=300, every=0.05)
    return MAILS / (time.time() - start)
