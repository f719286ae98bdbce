"""`mailctl probe` on the running stack, where something else is the relay and Cloudflare.

The relay is the trial's sink. A thread takes the probe out of it, changes it as some relay does, writes what
Cloudflare writes, and posts it as the Worker does. DNS is a list that rspamd holds while these tests run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
import yaml

from tests.stack.clients import Accounts, Edge, Mailboxes
from tests.stack.stack import Stack, eventually
from tests.stack.test_outbound import dkim_record
from tests.usermgmt import report_samples as samples

RELAY_IP = "203.0.113.25"
LIMIT, LATE = "40", 25
Change = Callable[[bytes], bytes]


@dataclass
class Outside:
    """What happens to a probe between the relay and the API; `answers` are those of the API."""

    stack: Stack
    change: Change
    late: int = 0
    tries: int = 1
    answers: list[int] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def carry(self, ended: threading.Event) -> None:
        """Bring each new probe back."""
        while not ended.wait(0.3):
            for one in self.waiting():
                self.seen.add(one["ID"])
                raw = httpx.get(f"{self.sink}/message/{one['ID']}/raw", timeout=30).content
                self._bring(raw, one["To"][0]["Address"])

    def waiting(self) -> list[dict]:
        """What the relay has taken and nobody has carried on."""
        listed = httpx.get(f"{self.sink}/messages", params={"limit": 200}, timeout=30).json()["messages"]
        return [one for one in listed if one["Subject"].startswith("Probe ") and one["ID"] not in self.seen]

    @property
    def sink(self) -> str:
        return f"{self.stack.info['sink']}api/v1"

    def _bring(self, raw: bytes, to: str) -> None:
        raw = self.change(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        if not raw:
            return
        domain = to.partition("@")[2]
        for _ in range(self.tries):
            answer = Edge(self.stack.info).post(received(to, self.late) + raw, to, sender=f"bounce@{domain}")
            self.answers.append(answer.status_code)
            if answer.status_code == 200:
                return


def received(to: str, late: int = 0) -> bytes:
    """What Cloudflare writes above a mail from the relay."""
    now = format_datetime(datetime.now(UTC) + timedelta(seconds=late))
    return (
        f"Received: from out.relay.example ({RELAY_IP})\r\n"
        f"        by cloudflare-email.net (cloudflare) id t3st\r\n        for <{to}>; {now}\r\n"
        # Nobody may believe what the outside says of itself.
        "Authentication-Results: mx.outside.example; dkim=pass header.d=elsewhere.example\r\n"
    ).encode()


def as_ses(raw: bytes) -> bytes:
    """Its own Message-ID and Date: https://docs.aws.amazon.com/ses/latest/dg/header-fields.html."""
    raw = re.sub(rb"(?mi)^Message-ID: .*\r$", b"Message-ID: <0106@email.amazonses.com>\r", raw)
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1)).encode()
    return re.sub(rb"(?mi)^Date: .*\r$", b"Date: " + date + b"\r", raw)


def as_it_is(raw: bytes) -> bytes:
    return raw


def with_a_tracker(raw: bytes) -> bytes:
    """What click tracking does: the text is another one."""
    return raw + b"http://tracker.relay.example/?open\r\n"


def lost(raw: bytes) -> bytes:
    return b""


CHANGES = {"ses": as_ses}


@pytest.fixture(scope="module")
def known_to_dns(stack: Stack) -> Iterator[str]:
    """The domain, whose records rspamd finds without a name server."""
    domain = stack.exec("postfix", "postconf", "-h", "myorigin").strip()
    records = {
        f"mailctl1._domainkey.{domain}": dkim_record(stack, domain).decode(),
        domain: f"v=spf1 ip4:{RELAY_IP} -all",
        f"_dmarc.{domain}": "v=DMARC1; p=reject",
    }
    fakes = [{"name": name, "type": "txt", "replies": [text]} for name, text in records.items()]
    file = stack.repository / "config/rspamd/override.d/options.inc"
    file.write_text(f"dns {{ fake_records = {json.dumps(fakes)}; }}\n")
    file.chmod(0o644)
    stack.docker("restart", "rspamd")
    try:
        stack.healthy("rspamd")
        yield domain
    finally:
        file.unlink()
        stack.docker("restart", "rspamd")
        stack.healthy("rspamd")


@pytest.fixture
def probe(stack: Stack, known_to_dns: str) -> Callable[..., dict]:
    """Send a probe, with that outside; what mailctl says of it."""

    def send(outside: Outside, *words: str) -> dict:
        outside.seen |= {one["ID"] for one in outside.waiting()}
        ended = threading.Event()
        carrier = threading.Thread(target=outside.carry, args=(ended,))
        carrier.start()
        try:
            done = subprocess.run(
                [".venv/bin/mailctl", "probe", "--local", "--json", "--limit", LIMIT, *words],
                cwd=stack.repository,
                env={**os.environ, **stack.environment},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            # One that is deferred on purpose leaves after the answer.
            if outside.tries > 1:
                eventually(lambda: len(outside.answers) > outside.tries)
        finally:
            ended.set()
            carrier.join()
        said = json.loads(done.stdout)
        assert done.returncode == (0 if said["ok"] else 1), done.stderr
        return said

    return send


def test_what_our_relay_rewrites_verifies_and_one_that_is_deferred_is_seen_to_be_tried_again(
    stack: Stack, probe: Callable[..., dict]
) -> None:
    relay = yaml.safe_load((stack.repository / "answers.yml").read_text())["relay"]
    outside = Outside(stack, CHANGES.get(relay, as_it_is), tries=2)
    said = probe(outside, "--retry")
    assert (said["ok"], said["dkim"], said["spf"], said["dmarc"]) == (True, "pass", "pass", "pass"), said
    assert (said["selector"], said["folder"], said["retry"]) == ("mailctl1", "INBOX", "pending")
    assert outside.answers == [200, 503, 200]
    box = ("doveadm", "search", "-u", "mailctl-probe@mailctl.invalid", "mailbox", "*", "all")
    assert len(eventually(lambda: stack.exec("dovecot", *box)).splitlines()) == 1, "the deferred one"
    slow = probe(Outside(stack, as_it_is, late=LATE))
    assert slow["retry"] == "tried again" and "tried again after 1 min" in slow["retry_text"]
    seconds = {hop["by"]: hop["seconds"] for hop in slow["hops"]}
    assert seconds["cloudflare-email.net"] >= LATE and slow["seconds"] >= LATE
    assert stack.exec("dovecot", *box) == "", "nothing is left"


def test_a_relay_that_changes_the_text_fails_the_probe_and_says_so(
    stack: Stack, probe: Callable[..., dict]
) -> None:
    said = probe(Outside(stack, with_a_tracker))
    assert (said["ok"], said["dkim"]) == (False, "fail")
    assert "our signature does not verify (selector mailctl1)" in said["text"] and "tracking" in said["fix"]


def test_a_relay_that_loses_mail_fails_the_probe_after_its_limit(
    stack: Stack, probe: Callable[..., dict]
) -> None:
    said = probe(Outside(stack, lost), "--limit", "3")
    assert not said["ok"] and "the relay has taken it: it was lost outside" in said["text"]


def test_nobody_else_reaches_the_listener_and_it_takes_no_other_address(stack: Stack) -> None:
    script = "import socket; socket.create_connection(('postfix', 27), 5)"
    with pytest.raises(AssertionError, match="refused"):
        stack.exec("mailserver-api", "python", "-c", script)
    words = ("smtp-source", "-M", "localhost", "-f", "a@b.example", "-t", "friend@far.example")
    with pytest.raises(AssertionError, match=r"(?i)rejected|denied"):
        stack.exec("postfix", *words, "127.0.0.1:27")


def test_the_probe_s_mailbox_is_among_nobody_s(stack: Stack) -> None:
    assert "mailctl-probe" not in stack.exec("dovecot", "doveadm", "user", "*")
    assert "mailctl-probe" not in stack.exec("usermgmt", "usermgmt", "api", "GET", "/mailboxes", "--all")


def test_a_report_to_postmaster_is_on_its_page_and_whatever_else_comes_there_arrives(
    stack: Stack, known_to_dns: str, accounts: Accounts, mailboxes: Mailboxes
) -> None:
    box, to = mailboxes.new(), f"postmaster@{known_to_dns}"
    accounts.add_alias(to, box.address)
    report = samples.zipped(samples.dmarc(domain=known_to_dns, number=box.address))
    forged = samples.zipped(samples.dmarc(samples.record("198.51.100.1"), domain=known_to_dns))
    mails = (
        ("A report", report, "bounce"),
        ("Photos", samples.zipped(b"none"), "bounce"),
        ("Forged", forged, ""),
    )
    for subject, content, name in mails:
        # DMARC confirms no sender whose domain is unknown to DNS.
        sender = f"{name}@{known_to_dns}" if name else "noreply@unknown.example"
        raw = samples.mail(content, "report.zip", sender=sender, subject=subject).replace(b"\n", b"\r\n")
        assert Edge(stack.info).post(received(to) + raw, to, sender=sender).status_code == 200
    for subject in ("Photos", "Forged"):
        eventually(lambda subject=subject: box.find(subject) or box.find(subject, "Junk"))
    domain = re.search(
        rf'href="/(domains/\d+)">{re.escape(known_to_dns)}<', accounts.http.get("domains").text
    )
    assert domain, "the list of domains leads to its page"
    page = accounts.http.get(f"{domain[1]}/reports").text
    assert "192.0.2.0/24" in page and "198.51.100.0/24" not in page
    assert not box.find("A report") and not box.find("A report", "Junk")
