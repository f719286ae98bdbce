"""What the Worker does in each state of the backend; the mailbox then holds the mail once, or not at all.

A row is a state: "accepted", "rejected" (a bounce, with what a person reads) or "thrown" (the sender's server
tries again, as these tests do once the state is over).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from tests.stack import mails, scenes
from tests.stack.clients import Mailbox
from tests.stack.scenes import EICAR, GTUBE, IDN, State

pytestmark = pytest.mark.parametrize("stack", ["default answers"], indirect=True)

LATE = {"TIMEOUT_SECONDS": "4"}
NOBODY = r"rejected: There is no such mailbox here"
REFUSED = r"rejected: Your message was refused"
QUEUE, SPOOL, STORE = "/var/spool/postfix/incoming", "/var/lib/mailserver-api/spool", "/srv/vmail"


@dataclass(frozen=True)
class Row:
    """A mail, to whom, in which state; what the Worker does, and how many copies there are in the end."""

    does: str
    copies: int
    state: State = scenes.usual
    mail: mails.Mail = mails.plain
    to: str = "{reader}"
    domain: str = ""
    seconds: float = 0
    bindings: dict[str, str] = field(default_factory=dict)


TABLE = {
    "known user": Row("accepted", 1),
    "unknown user": Row(NOBODY, 0, to="nobody-of-that-name@{domain}"),
    "unknown domain": Row(NOBODY, 0, to="somebody@elsewhere.example"),
    "IDN as people write it": Row("accepted", 1, domain=IDN[0], to="{name}@" + IDN[0]),
    "IDN as DNS has it": Row("accepted", 1, domain=IDN[0], to="{name}@" + IDN[1]),
    "unknown user of an IDN": Row(NOBODY, 0, domain=IDN[0], to="nobody@" + IDN[0]),
    "mailbox off": Row(NOBODY, 0, scenes.switched_off),
    "mailbox full": Row(r"rejected: The mailbox is full", 0, scenes.mailbox_full),
    "EICAR plain": Row(REFUSED, 0, mail=scenes.saying(EICAR)),
    "EICAR zipped": Row(REFUSED, 0, mail=scenes.attached(scenes.zipped(EICAR, "e.com"), "e.zip")),
    "GTUBE": Row(REFUSED, 0, mail=scenes.saying(GTUBE)),
    "one byte too large": Row(r"rejected: .*too large", 0, mail=scenes.sized(mails.LIMIT + 1)),
    "large mail for nobody": Row(NOBODY, 0, mail=mails.largest, to="nobody-of-that-name@{domain}"),
    "dovecot down": Row("thrown", 1, scenes.down("dovecot")),
    "postfix down": Row("thrown", 1, scenes.down("postfix")),
    "rspamd down": Row("thrown", 1, scenes.down("rspamd")),
    "clamav down": Row("thrown", 1, scenes.down("clamav")),
    "mariadb down": Row("thrown", 1, scenes.down("mariadb")),
    # rspamd judges by its rules alone, without what it learned; the scanner still scans.
    "valkey down": Row("accepted", 1, scenes.down("valkey")),
    # Names are looked up by the engine then.
    "unbound down": Row("accepted", 1, scenes.down("unbound")),
    "mailserver-api down": Row("thrown", 1, scenes.down("mailserver-api")),
    "disk of the API's spool full": Row(
        "thrown", 1, scenes.full("mailserver-api", SPOOL), scenes.sized(5 * mails.MIB)
    ),
    "disk of the queue full": Row("thrown", 1, scenes.full("postfix", QUEUE), bindings=LATE),
    # The mail is safe in the queue, and must neither bounce nor be lost there.
    "disk of the mailboxes full": Row("accepted", 1, scenes.full("dovecot", STORE)),
    "wrong token": Row("thrown: HTTP 401", 1, bindings={"API_TOKEN": "w" * 43}),
    "another token at the API": Row("thrown: HTTP 401", 1, scenes.other_token),
    "second token": Row("accepted", 1, scenes.second_token),
    "slow line": Row("accepted", 1, seconds=8),
    "line too slow": Row("thrown: no verdict", 1, seconds=8, bindings=LATE),
    # A scanner that is merely busy is waited for: the mail is not turned away at the first slow scan.
    "busy scanner": Row("accepted", 1, scenes.slow("clamav", 10)),
    # The scan ends after the Worker has given up: the mail is delivered then, and its retry is recognised.
    "slow scan": Row("thrown: no verdict", 1, scenes.frozen("clamav"), bindings=LATE),
    "slow filter": Row("thrown: no verdict", 1, scenes.frozen("rspamd"), bindings=LATE),
    "slow database": Row("thrown: no verdict", 1, scenes.frozen("mariadb"), bindings=LATE),
}


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_the_worker_meets(scene, idn, row):
    if row.domain:
        scene.reader = idn(row.domain)
    name, _, domain = scene.reader.address.partition("@")
    to = row.to.format(reader=scene.reader.address, name=name, domain=domain)
    raw = row.mail(to)
    with row.state(scene):
        body = scenes.drip(raw, row.seconds) if row.seconds else raw
        outcome = scene.worker.send(body, to, size=len(raw), **row.bindings)
    assert re.match(row.does, str(outcome)), f"{outcome}\n{scenes.explain(scene, raw)}"
    if outcome.did == "thrown":
        assert str(scene.worker.deliver(raw, to)) == "accepted", scenes.explain(scene, raw)
    scene.settle()
    assert scene.copies(raw) == row.copies


@pytest.fixture(scope="module")
def idn(accounts, stack) -> Callable[[str], Mailbox]:
    """A second domain, whose name is not ASCII: the function makes a mailbox there."""
    accounts.add_domain(IDN[0])

    def mailbox(domain: str) -> Mailbox:
        name = f"leser-{uuid4().hex[:10]}"
        accounts.add_mailbox(f"{name}@{domain}")
        return Mailbox(f"{name}@{IDN[1]}", stack.info)

    return mailbox
