"""Mail comes back: everything after the loss of all volumes, one mailbox while the server runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.stack.clients import Edge, Mailbox, message
from tests.stack.keeper import KEYWORD, Keeper, end, picture
from tests.stack.stack import eventually
from tests.stack.test_usermgmt_account import opens

SIEVE = 'require "fileinto";\nif header :contains "Subject" "bill" { fileinto "Bills"; }\n'
#: A folder as IMAP quotes it: "to do" stands in quotation marks, then a backslash follows.
AWKWARD = r'"Plans/\"to do\" \\ 2027"'
# How often a restore of the whole database is killed; `make soak` asks for more.
KILLS = int(os.environ.get("STACK_KILL_MOMENTS", "2"))
#: Seconds within which the first of them is killed; the later ones within what one took.
FIRST_GUESS = 20.0


@pytest.fixture
def keeper(scanned) -> Iterator[Keeper]:
    """Of the flavour with a virus scanner: a restore scans first. No restore is left to the next test."""
    yield (keeper := Keeper(scanned))
    keeper.start("restore", "--local", "--confirm", "--yes").communicate(timeout=120)


@pytest.fixture
def reader(keeper, mailboxes) -> Mailbox:
    """A mailbox with folders, flags, a keyword, a rule and a quota; somebody had its address before."""
    box = mailboxes.new("restored", quota="50M")
    old = Mailbox(box.address, box.info)
    old.imap.append("INBOX", "", "", message("of somebody else", to=box.address).as_bytes())
    name, _, domain = box.address.partition("@")
    home = f"{domain}/{name}+2"
    keeper.stack.sql("UPDATE mailboxes SET home = @home WHERE email = @who", home=home, who=box.address)
    box.imap.create("Bills")
    box.imap.create("Plans/2026")
    box.imap.create(AWKWARD)
    box.imap.append(AWKWARD, "", "", message("to do", to=box.address).as_bytes())
    keeper.stack.exec("dovecot", "doveadm", "sieve", "put", "-u", box.address, "-a", "mine", stdin=SIEVE)
    for number in range(4):
        for folder in ("INBOX", "Plans/2026"):
            flags = rf"(\Seen {KEYWORD})" if number % 2 else r"(\Flagged)"
            date = f'"0{number + 1}-Oct-2026 10:00:00 +0000"'
            box.imap.append(folder, flags, date, message(f"{folder} {number}", to=box.address).as_bytes())
    edge = Edge(keeper.stack.info)
    assert edge.post(message("a bill to pay", to=box.address), box.address).status_code == 200
    box.read("a bill to pay", "Bills")
    return box


def again(box: Mailbox) -> Mailbox:
    """The same person, logged in anew with the same password."""
    return Mailbox(box.address, box.info)


def rules(keeper: Keeper, box: Mailbox) -> str:
    said = keeper.stack.exec("dovecot", "doveadm", "sieve", "get", "-u", box.address, "mine")
    return said.removeprefix("sieve script:\n")


def test_after_the_loss_of_every_volume_all_mail_is_read_back(keeper, reader):
    before = picture(reader)
    snapshot = keeper.backup()
    keeper.destroy()
    done = keeper.restore("--from", snapshot, "--component", "all", "--yes")
    assert done["differences"] == [] and done["compared"] >= 9
    assert picture(again(reader)) == before
    assert rules(keeper, reader) == SIEVE
    assert Edge(keeper.stack.info).post(message("a bill again", to=reader.address), reader.address).is_success
    assert again(reader).read("a bill again", "Bills")
    keeper.confirm()


def test_a_mail_after_a_restore_gets_no_number_that_was_given_before(keeper, reader):
    snapshot = keeper.backup()
    reader.imap.append("INBOX", "", "", message("after the snapshot", to=reader.address).as_bytes())
    uids = {mail[3] for mail in picture(reader)["INBOX"]}
    keeper.restore("--from", snapshot, "--component", "mail", "--yes")
    back = again(reader)
    back.imap.append("INBOX", "", "", message("after the restore", to=reader.address).as_bytes())
    [new] = {mail[3] for mail in picture(back)["INBOX"]} - uids
    assert int(new) > 1_000_000
    keeper.confirm()


def test_undo_brings_the_mail_since_the_snapshot_back(keeper, reader):
    snapshot = keeper.backup()
    reader.imap.append("INBOX", "", "", message("after the snapshot", to=reader.address).as_bytes())
    before = picture(reader)
    keeper.restore("--from", snapshot, "--component", "mail", "--yes")
    assert not again(reader).find("after the snapshot")
    keeper.restore("--undo", "--yes")
    assert picture(again(reader)) == before
    keeper.confirm()


def test_one_mailbox_is_merged_while_the_server_runs_and_nothing_is_doubled(keeper, reader):
    before = picture(reader)
    snapshot = keeper.backup()
    reader.move("INBOX 0", "INBOX", "Bills")
    for subject, folder in (("INBOX 1", "INBOX"), ("INBOX 2", "INBOX"), ("to do", AWKWARD)):
        reader.imap.store(reader.find(subject, folder)[0], "+FLAGS", r"(\Deleted)")
        reader.imap.expunge()
    reader.imap.append("INBOX", "", "", message("arrived since", to=reader.address).as_bytes())
    for added in (3, 0):
        done = keeper.restore("--from", snapshot, "--component", "mail", "--mailbox", reader.address)
        assert sum(done["added"].values()) == added
    after = picture(reader)
    assert {mail[:3] for mail in before["INBOX"]} - {mail[:3] for mail in after["INBOX"]} == {
        mail[:3] for mail in after["Bills"] if mail not in before["Bills"]
    }
    assert [mail[:3] for mail in after[AWKWARD]] == [mail[:3] for mail in before[AWKWARD]]
    assert reader.find("arrived since") and len(after["INBOX"]) == 4


def test_one_folder_is_put_beside_what_is_there(keeper, reader):
    snapshot = keeper.backup()
    words = ("--from", snapshot, "--mailbox", reader.address, "--folder", "Plans/2026", "--into", "Restored")
    assert keeper.restore(*words)["added"] == {"Restored/Plans/2026": 4}
    after = picture(reader)
    assert [m[:3] for m in after["Restored/Plans/2026"]] == [m[:3] for m in after["Plans/2026"]]


def test_a_restore_of_the_database_killed_at_any_moment_leaves_accounts_that_work(keeper, reader):
    """The database is restored in a MariaDB of its own; whatever dies, the next call ends it."""
    moments = random.Random(26)  # noqa: S311
    snapshot = keeper.backup()
    words, whole = ("--from", snapshot, "--component", "mysql", "--yes"), FIRST_GUESS
    for _ in range(KILLS):
        process = keeper.start("restore", "--local", *words)
        try:
            process.wait(moments.uniform(0.5, whole + 1))
        except subprocess.TimeoutExpired:
            end(process, signal.SIGKILL)
        began, next_one = monotonic(), keeper.start("restore", "--local", *words)
        next_one.communicate(timeout=300)
        # It is refused where the killed one had come to its end.
        whole = whole if next_one.returncode else monotonic() - began
        keeper.stack.healthy("mariadb", "dovecot")
        assert keeper.leftovers("restore") == ""
        eventually(lambda: opens(again(reader)), limit=60)
        keeper.confirm()
