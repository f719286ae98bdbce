"""What one mail, one open mailbox, one page and one row cost, and what that makes of many mailboxes.

Costs are processor time, bytes and memory as the engine counts them: other work on the machine changes them
little. ClamAV's stand-in holds one signature: with the real ones a mail costs it more.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import docker

from benchmarks.inbound import FILL
from tests.places import REPOSITORY
from tests.stack.clients import Accounts, Edge, Mailbox, Mailboxes, Webmail, message
from tests.stack.stack import eventually

API = Path(__file__).parent.parent / "tests" / "api"
MAILS, SIZE, CONNECTIONS, PAGES = 100, 50_000, 40, 30
ROWS = 20_000
AT_ONCE, RECORDS = (1, 50), 300
LEDGER = REPOSITORY / "config" / "mariadb" / "initdb" / "40-ledger.sh"
GIB = 2**30


class Use(NamedTuple):
    """Of a service so far: processor seconds, bytes it has received, bytes of memory that it holds."""

    seconds: float
    received: int
    memory: int


def uses(stack) -> dict[str, Use]:
    """What each service has used."""
    engine, names = docker.from_env(), stack.services()
    containers = [engine.containers.get(stack.container(name)) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:  # the engine takes its time for each
        return dict(zip(names, pool.map(use_of, containers), strict=True))


def use_of(container) -> Use:
    """What one container has used."""
    stats = container.stats(stream=False)
    memory = stats["memory_stats"]
    return Use(
        stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9,
        sum(network["rx_bytes"] for network in stats.get("networks", {}).values()),
        memory.get("usage", 0) - memory.get("stats", {}).get("cache", 0),
    )


def spent(before: dict[str, Use], after: dict[str, Use], times: int) -> dict[str, Use]:
    """What each service used for one of so many."""
    return {
        name: Use(*((late - early) / times for early, late in zip(before[name], after[name], strict=True)))
        for name in after
    }


def mail_cost(stack, reader: Mailbox) -> dict[str, Use]:
    """Of one inbound mail, from the call to the mailbox."""
    raw = message("benchmark", to=reader.address).as_bytes().replace(b"\n", b"\r\n")
    line = b"The ferry leaves at nine, so please be there before it does.\r\n"
    headers = {
        "Authorization": f"Bearer {Edge(stack.info).token}",
        "X-Envelope-From": "writer@sender.example",
        "X-Envelope-To": reader.address,
    }
    connection = http.client.HTTPConnection(urlsplit(stack.info["api"]).netloc, timeout=120)
    start, before = arrived(reader), uses(stack)
    for number in range(MAILS):
        body = raw + b"%d\r\n" % number + line * (SIZE // len(line))
        connection.request("POST", "/v1/messages", body, headers)
        answer = connection.getresponse()
        if (text := answer.read()) and answer.status != 200:
            raise RuntimeError(f"{answer.status}: {text!r}")
    eventually(lambda: arrived(reader) >= start + MAILS, limit=300)
    return spent(before, uses(stack), MAILS)


def arrived(reader: Mailbox) -> int:
    """Mails in the mailbox."""
    return int(re.search(rb"MESSAGES (\d+)", reader.imap.status("INBOX", "(MESSAGES)")[1][0])[1])


def connection_cost(stack, reader: Mailbox) -> dict[str, Use]:
    """Of one more mail program that is connected and has its inbox open."""
    before = uses(stack)
    programs = [Mailbox(reader.address, reader.info) for _ in range(CONNECTIONS)]
    for each in programs:
        each.imap.select("INBOX")
    cost = spent(before, uses(stack), CONNECTIONS)
    for each in programs:
        each.imap.logout()
    return cost


def page_cost(stack, reader: Mailbox) -> dict[str, Use]:
    """Of one page of the webmail, the list of the inbox."""
    webmail = Webmail(stack.info)
    webmail.log_in(reader.address, reader.password)
    before = uses(stack)
    for _ in range(PAGES):
        answer = webmail.http.get("?_task=mail&_mbox=INBOX")
        if answer.status_code != 200 or "messagelist" not in answer.text:
            raise RuntimeError(f"{answer.status_code}: no list of mails")
    return spent(before, uses(stack), PAGES)


def row_sizes(stack, reader: Mailbox) -> dict[str, float]:
    """Bytes of the database a mailbox, and a mail in the ledger that replicas share."""
    client = 'mariadb -uroot -p"$(cat /run/secrets/mariadb_root_password)" -N -B mailserver'
    tables = re.search(r"(?s)USE ledger;\n(.*?)GRANT", LEDGER.read_text())[1]
    fill = FILL.format(count=ROWS, like=reader.address)
    fill += f"CREATE DATABASE ledger; USE ledger; {tables}"
    fill += "INSERT INTO outcomes SELECT SHA2(seq, 256), 'accepted', CONCAT('4XyZ', seq), 250,"
    fill += f" '2.0.0 Ok: queued as 4XyZ0000001', 1800000000 FROM mailserver.seq_1_to_{ROWS};"
    stack.exec("mariadb", "sh", "-c", client, stdin=fill)
    ask = "SELECT table_name, data_length + index_length FROM information_schema.tables WHERE table_name IN"
    ask = f"ANALYZE TABLE mailserver.mailboxes, ledger.outcomes; {ask} ('mailboxes', 'outcomes')"
    said = [line.split("\t") for line in stack.exec("mariadb", "sh", "-c", client, stdin=ask).splitlines()]
    return {name: int(size) / ROWS for name, size, *_ in said if size.isdigit()}


def ledger_rates() -> dict[tuple[str, int], float]:
    """Outcomes a second that are on disk, in a file and in a database of the same machine."""
    sys.path[:0] = [str(API), str(REPOSITORY / "platform" / "mailserver-api" / "src")]
    from real_mariadb import mariadb

    from mailserver_api.ledger import Ledger
    from mailserver_api.metrics import Metrics
    from mailserver_api.stores import FileStore
    from mailserver_api.verdicts import Outcome, Verdict

    async def rate(store, at_once: int) -> float:
        ledger, start = Ledger(store, 1000, Metrics().ledger_errors), time.perf_counter()

        async def one(share: int) -> None:
            for number in range(RECORDS // at_once):
                key = f"{start}{share}-{number}"
                await ledger.begin(key)
                await ledger.record(key, Outcome(Verdict.ACCEPTED))
                await ledger.end(key)

        await asyncio.gather(*(one(share) for share in range(at_once)))
        took = time.perf_counter() - start
        await ledger.close()
        return RECORDS / took

    found = {}
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name, mariadb(Path(name)) as server:
        for at_once in AT_ONCE:
            found["file", at_once] = asyncio.run(rate(FileStore(Path(name, f"{at_once}.db")), at_once))
            found["database", at_once] = asyncio.run(rate(server.store(), at_once))
    return found


def measure(stack) -> dict[str, object]:
    """All costs of a running stack."""
    reader = Mailboxes(stack.info, Accounts(stack.info)).new("bench", quota="10G")
    return {
        "mail": mail_cost(stack, reader),
        "connection": connection_cost(stack, reader),
        "page": page_cost(stack, reader),
        "rows": row_sizes(stack, reader),
        "ledger": ledger_rates(),
    }


#: Of one mailbox. The first three are assumptions, of an office: count your own and write them here.
MAILS_A_DAY, BYTES_KEPT, OPEN_SHARE, PAGES_A_DAY = 60, 2 * GIB, 0.4, 40
#: How much of a day's work falls into its busiest hour, and how busy processors may be then.
PEAK, BUSY = 0.15, 0.5
#: Of a host: processors, memory, mail on disk. A disk is full at 70 %, and each mailbox has a second copy.
CORES, MEMORY, DISK, FULL, COPIES = 16, 64 * GIB, 8 * 10**12, 0.7, 2


class Plan(NamedTuple):
    """What so many mailboxes need; seconds of processors in the busiest second, bytes."""

    mailboxes: int
    cores: float
    memory: float
    disk: float
    between: float
    hosts: int
    limits: Counter


def plan(mailboxes: int, costs: dict[str, object]) -> Plan:
    """Multiply: hosts by what needs the most of them, three at least, and one that may be down."""
    cpu = {name: sum(use.seconds for use in costs[name].values()) for name in ("mail", "page")}
    a_day = cpu["mail"] * MAILS_A_DAY + cpu["page"] * PAGES_A_DAY
    cores = mailboxes * a_day * PEAK / 3600 / BUSY
    memory = mailboxes * OPEN_SHARE * costs["connection"]["dovecot"].memory
    disk = mailboxes * BYTES_KEPT * COPIES / FULL
    # Inside a host nothing is sent: of n hosts all but one part in n is elsewhere. And the second copy.
    network = sum(use.received for use in costs["mail"].values())
    between = mailboxes * MAILS_A_DAY * (network + SIZE)
    need = Counter({"processors": ceil(cores / CORES), "memory": ceil(memory / (MEMORY * 0.6))})
    need["disk"] = ceil(disk / DISK)
    return Plan(mailboxes, cores, memory, disk, between, max(3, max(need.values()) + 1), need)
