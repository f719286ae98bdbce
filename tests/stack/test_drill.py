"""The drill proves that mail comes back, finds what would not, and leaves nothing behind."""

from __future__ import annotations

import gzip
import hashlib
import json
import signal
from pathlib import Path

import pytest

from tests.stack.clients import message
from tests.stack.keeper import Keeper, end
from tests.stack.stack import eventually

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:test\r\nBEGIN:VEVENT\r\nUID:e1\r\nDTSTAMP:20261128T120000Z\r\n"
    "DTSTART:20261224T180000Z\r\nSUMMARY:Dinner\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)
DRILL = ("drill", "--local", "--local-only", "--json")


@pytest.fixture
def keeper(scanned) -> Keeper:
    return Keeper(scanned)


@pytest.fixture
def snapshot(keeper, mailboxes):
    """A snapshot with some mail in it."""
    box = mailboxes.new("drilled")
    for number in range(3):
        box.imap.append("INBOX", "", "", message(f"drill {number}", to=box.address).as_bytes())
    inside = "/var/lib/radicale/collections/collection-root/7-20261128120000/calendar"
    words = (
        f'mkdir -p {inside} && cd {inside} && cat >e1.ics && echo \'{{"tag": "VCALENDAR"}}\' >.Radicale.props'
    )
    keeper.stack.exec("radicale", "sh", "-c", words, stdin=EVENT)
    return keeper.backup()


def test_a_drill_compares_every_mail_and_leaves_the_running_stack_alone(keeper, snapshot):
    services = keeper.stack.services()
    before = {name: keeper.stack.inspect(name)["State"]["StartedAt"] for name in services}
    said = keeper.stack.mailctl(*DRILL)
    report = json.loads(said[said.index("{\n") :])
    [one] = report["drills"]
    wanted = json.loads((snapshot / "manifest.json").read_text())["components"]["mail"]["mailboxes"]
    assert one["compared"] == sum(box["messages"] for box in wanted.values()) >= 3
    assert one["groupware"] == 1
    assert one["rto_seconds"] > 0 and one["rpo_seconds"] > 0 and not one["without_account"]
    assert json.loads((keeper.hdd / ".mailctl" / "drill-report.json").read_text()) == report
    assert "passed" in (keeper.hdd / ".mailctl" / "drill-report.txt").read_text()
    assert keeper.leftovers("drill") == ""
    assert before == {name: keeper.stack.inspect(name)["State"]["StartedAt"] for name in services}


def test_a_drill_fails_by_name_when_a_mailbox_has_fewer_mails_than_the_manifest_counts(keeper, snapshot):
    file = snapshot / "manifest.json"
    document = json.loads(file.read_text())
    address, counted = next(iter(document["components"]["mail"]["mailboxes"].items()))
    counted["messages"] += 1
    file.write_text(json.dumps(document))
    process = keeper.start(*DRILL)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1 and f"{address}: the manifest counts" in said
    assert keeper.leftovers("drill") == ""


def to_first_revision(keeper: Keeper, snapshot: Path) -> None:
    """Make its tables those of the first revision, as the version of then would have dumped them."""
    words = ("python", "-m", "alembic", "downgrade", "head:0001", "--sql")
    down = keeper.stack.exec("usermgmt", *words)
    dump = snapshot / "mysql" / "mailserver.sql.gz"
    text, last, rest = gzip.decompress(dump.read_bytes()).decode().rpartition("-- Dump completed")
    dump.write_bytes(gzip.compress(f"{text}{down}\n{last}{rest}".encode()))
    file = snapshot / "manifest.json"
    document = json.loads(file.read_text())
    sizes = {"sha256": hashlib.sha256(dump.read_bytes()).hexdigest(), "size": dump.stat().st_size}
    document["components"]["mysql"]["list"]["mysql/mailserver.sql.gz"] = sizes
    file.write_text(json.dumps(document))


def test_a_snapshot_from_before_a_migration_is_brought_to_this_version_and_read(keeper, snapshot):
    to_first_revision(keeper, snapshot)
    said = keeper.stack.mailctl(*DRILL)
    [one] = json.loads(said[said.index("{\n") :])["drills"]
    assert one["compared"] >= 3 and not one["without_account"]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_ended_drill_leaves_nothing_or_the_next_removes_it(keeper, snapshot, how):
    process = keeper.start(*DRILL)
    eventually(lambda: keeper.leftovers("drill"), limit=120)
    assert process.poll() is None
    end(process, how)
    if how is signal.SIGKILL:
        keeper.stack.mailctl(*DRILL)
    assert keeper.leftovers("drill") == ""
