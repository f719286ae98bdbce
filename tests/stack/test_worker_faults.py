"""Mail flows while every container is killed and every network is cut: each accepted mail is there, and once.

The sender is a mail server: what the Worker throws, it tries again. MAILS sets how many mails there are, SEED
the order of the faults (`make soak` sends 5,000); the figures are printed.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock
from time import monotonic

import pytest

from tests.stack import mails
from tests.stack.clients import Mailbox, Sink
from tests.stack.scenes import Scene, message_id
from tests.stack.stack import speaker

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

MAILS = int(os.environ.get("MAILS", "300"))
SEED = int(os.environ.get("SEED", "9"))
AT_ONCE = 12
#: Seconds for which a network is cut: longer than a retry, shorter than people wait.
CUT = 4
#: Seconds within which each mail must be accepted, however many faults it meets.
PATIENCE = 240
#: Networks between two services that mail needs: cut at the first of the two.
CUTS = (
    ("mail", "mailserver-api"),
    ("mail", "postfix"),
    ("mail", "rspamd"),
    ("mail", "dovecot"),
    ("scan", "rspamd"),
    ("scan", "clamav"),
    ("scan", "valkey"),
    ("data", "mariadb"),
    ("data", "postfix"),
    ("data", "dovecot"),
)


@dataclass
class Sender:
    """A mail server with many mails: sends several at once, and tries each again until it is accepted."""

    scene: Scene
    readers: list[Mailbox]
    attempts: Counter[str] = field(default_factory=Counter)
    rejected: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(AT_ONCE))

    def send(self, numbers: range) -> list[Future[str]]:
        """Begin with these mails, spread over the time of a fault; each future ends with a Message-ID."""
        pauses = (CUT * place / len(numbers) for place in range(len(numbers)))
        return [
            self.pool.submit(self._until_accepted, number, monotonic() + pause)
            for number, pause in zip(numbers, pauses, strict=True)
        ]

    def _until_accepted(self, number: int, start: float) -> str:
        Event().wait(max(0, start - monotonic()))
        to = self.readers[number % len(self.readers)].address
        raw = mails.plain(to, f"mail {number}", mails.PROSE * random.Random(number).randint(1, 200))  # noqa: S311
        began, pause = monotonic(), Event()
        while monotonic() - began < PATIENCE:
            outcome = self.scene.worker.send(raw, to)
            with self.lock:
                self.attempts[outcome.did] += 1
            if outcome.did != "thrown":
                break
            pause.wait(1)
        with self.lock:
            self.seconds.append(monotonic() - began)
            if outcome.did != "accepted":
                self.rejected.append(f"mail {number}: {outcome}")
        return message_id(raw)


def faults(scene: Scene) -> list[tuple[str, Callable[..., None], tuple[str, ...]]]:
    """Every fault of the run in the seed's order: its name, what does it and waits for its end, and where."""

    def crash(service: str) -> None:
        scene.breaker.crash(service)
        scene.stack.healthy(service)

    def cut(network: str, service: str) -> None:
        with scene.breaker.cut(network, service):
            Event().wait(CUT)

    rows = [(f"{service} is killed", crash, (service,)) for service in scene.stack.services()]
    rows += [
        (f"{service} is off the network {network}", cut, (network, service)) for network, service in CUTS
    ]
    order = random.Random(SEED)  # noqa: S311 (an order that can be repeated)
    return [row for _ in range(max(1, MAILS // 1000)) for row in order.sample(rows, len(rows))]


def test_no_accepted_mail_is_lost_doubled_or_bounced(scene, figures):
    readers = [scene.mailboxes.new() for _ in range(8)]
    sender, rows = Sender(scene, readers), faults(scene)
    sent: list[Future[str]] = []
    for n, (name, fault, where) in enumerate(rows):
        # The share of this fault: mail is at every place before it strikes, while it lasts, and when it ends.
        sent += sender.send(range(MAILS * n // len(rows), MAILS * (n + 1) // len(rows)))
        with figures.row(name, sender):
            fault(*where)
            for future in sent:
                future.result(PATIENCE + 60)
    scene.stack.healthy(*scene.stack.services())
    scene.settle(limit=180)
    found = Counter(message_id(mail) for reader in readers for mail in reader.all())
    expected = [future.result() for future in sent]
    lost = [each for each in expected if not found[each]]
    doubled = [each for each in expected if found[each] > 1]
    figures.total(sender, lost, doubled)
    assert sender.rejected == []
    assert (lost, doubled) == ([], [])
    assert bounces(scene) == []


def bounces(scene: Scene) -> list[str]:
    """What Postfix gave up or sent back, by its log and by what reached the relay."""
    given_up = [line for line in scene.stack.logs("postfix").splitlines() if "status=bounced" in line]
    return given_up + [s for s in Sink(scene.stack.info).subjects() if "Undelivered" in s]


@dataclass
class Figures:
    """What a run measured, printed as it goes: a soak takes its time."""

    write: Callable[[str], None]
    began: float = field(default_factory=monotonic)

    @contextmanager
    def row(self, name: str, sender: Sender) -> Iterator[None]:
        began, before = monotonic(), sender.attempts["thrown"]
        yield
        thrown = sender.attempts["thrown"] - before
        self.write(f"  {name:<40} {monotonic() - began:5.1f} s  {thrown:3} tried again")

    def total(self, sender: Sender, lost: list[str], doubled: list[str]) -> None:
        times, tried = sorted(sender.seconds), sender.attempts["thrown"]
        self.write(
            f"  {len(times)} mails in {monotonic() - self.began:.0f} s (seed {SEED}): {len(lost)} lost,"
            f" {len(doubled)} doubled, {len(sender.rejected)} bounced; {tried} tried again;"
            f" half accepted within {times[len(times) // 2]:.1f} s, all within {times[-1]:.1f} s"
        )


@pytest.fixture
def figures(request) -> Figures:
    return Figures(speaker(request.config))


def test_a_burst_of_fifty_at_once_is_accepted_whole_and_in_order(scene, figures):
    reader = scene.mailboxes.new()
    raws = [mails.plain(reader.address, f"burst {n}", mails.PROSE * 20) for n in range(200)]
    arrivals: list[int] = []

    def send(number: int) -> str:
        outcome = scene.worker.send(raws[number], reader.address)
        arrivals.append(number)
        return str(outcome)

    with ThreadPoolExecutor(50) as pool:
        outcomes = Counter(pool.map(send, range(len(raws))))
    assert outcomes == {"accepted": len(raws)}
    # Fifty are under way at any time: in order means that none is overtaken by more than the fifty after it.
    late = max(place - number for place, number in enumerate(arrivals))
    figures.write(f"  burst: the most overtaken mail came {late} places late")
    assert late <= 50
    scene.settle()
    assert Counter(map(message_id, reader.all())) == Counter(map(message_id, raws))
