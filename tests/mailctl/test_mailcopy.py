"""Mail is copied while it moves: each mail once, cost as what is new, nothing through a link."""

import os
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moving_mail import MovingMail, numbers, wait_for_steps

from mailctl.backup import mailcopy, maildir
from mailctl.backup.mailcopy import copy_tree
from mailctl.core.snapshot_manifest import file_digest, read_index

BOX = "example.com/ada"
EXAMPLES = int(os.environ.get("BACKUP_EXAMPLES", "12"))


@pytest.mark.series
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 120), st.integers(0, 2**32), st.sampled_from([0.0, 0.0005, 0.01]))
def test_every_mail_that_is_there_throughout_is_in_the_snapshot_once(
    count: int, seed: int, pause: float
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mailcopy-"))
    mover = MovingMail(folder / "mailboxes" / BOX, count, seed, pause)
    mover.start()
    try:
        wait_for_steps(mover, 3)
        copy_tree(folder / "mailboxes", folder / "one")
        copied = copy_tree(folder / "mailboxes", folder / "two", folder / "one")
    finally:
        mover.stop()
    for name in ("one", "two"):
        found = Counter(numbers(folder / name))
        assert [n for n in mover.resident if found[n] != 1] == [], name
        assert max(found.values()) == 1, "a guest is there twice"
        index = dict(read_index(folder / name / "mail.sha256"))
        assert {p: file_digest(folder / name / p) for p in index} == index
    assert copied.mailboxes["ada@example.com"]["messages"] == found.total()
    assert sum(copied.mailboxes["ada@example.com"]["folders"].values()) == found.total()
    shutil.rmtree(folder)


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A resting mailbox of forty mails, with sieve scripts and what must not be saved."""
    home = tmp_path / "mailboxes" / BOX
    MovingMail(home, 40, seed=1)
    (home / "sieve").mkdir()
    (home / "sieve/rules.sieve").write_text("keep;")
    (home / ".dovecot.sieve").symlink_to("sieve/rules.sieve")
    (home / "mail/tmp/unfinished").write_text("half a mail")
    (home / "mail/dovecot.index.cache").write_text("a cache")
    (home / "mail/.Sent/fts-flatcurve/index.1").mkdir(parents=True)
    (home / "mail/.Sent/fts-flatcurve/index.1/postlist.glass").write_text("words to search by")
    (home / "mail/.Sent/dovecot-uidlist.lock").write_text("")
    (home / "mail/..DOVECOT-TRASHED/cur").mkdir(parents=True)
    (home / "mail/..DOVECOT-TRASHED/cur/1").write_text("deleted with its folder")
    return home


def shared(one: Path, other: Path) -> int:
    """How many files are one and the same in both trees."""
    inodes = {p.lstat().st_ino for p in one.rglob("*") if p.is_file()}
    return sum(p.lstat().st_ino in inodes for p in other.rglob("*") if p.is_file())


def test_what_is_beside_the_mails_is_saved_and_what_dovecot_builds_again_is_not(
    box: Path, tmp_path: Path
) -> None:
    copied = copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    mail = tmp_path / "one/mail" / BOX
    beside = {
        str(p.relative_to(mail))
        for p in mail.rglob("*")
        if p.is_file() and p.parent.name not in ("cur", "new")
    }
    assert beside == {"mail/dovecot-uidlist", "sieve/rules.sieve", ".dovecot.sieve"}
    assert copied.links == {f"mail/{BOX}/.dovecot.sieve": "sieve/rules.sieve"}
    assert os.readlink(mail / ".dovecot.sieve") == "sieve/rules.sieve"
    assert (mail / "mail/.Lists.Debian/new").is_dir()
    assert set(copied.mailboxes["ada@example.com"]["folders"]) == {"INBOX", "Sent", "Archive", "Lists/Debian"}


def full_of_keywords(maildir: Path, count: int) -> None:
    (maildir / "dovecot-keywords").write_text("".join(f"{n} kw{n}\n" for n in range(count)))
    for name in ("dovecot.index", "dovecot.index.log", "dovecot.index.cache"):
        (maildir / name).write_text(f"{name} of {count}")


@pytest.mark.parametrize(("keywords", "kept"), [(25, set()), (26, {"dovecot.index", "dovecot.index.log"})])
def test_the_index_is_saved_where_a_folder_has_more_keywords_than_letters(
    box: Path, tmp_path: Path, keywords: int, kept: set[str]
) -> None:
    full_of_keywords(box / "mail/.Sent", keywords)
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    sent = tmp_path / "one/mail" / BOX / "mail/.Sent"
    assert {path.name for path in sent.glob("dovecot.index*")} == kept
    assert len((sent / "dovecot-keywords").read_text().splitlines()) == keywords
    index = dict(read_index(tmp_path / "one/mail.sha256"))
    assert {path: file_digest(tmp_path / "one" / path) for path in index} == index


def test_a_keyword_given_while_mail_is_copied_is_explained_in_the_snapshot(
    box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name is copied with its letter; the file that says what the letter means must not be older."""
    full_of_keywords(box / "mail/.Sent", 1)
    settle = maildir.Mailbox.settle

    def flagged(self: maildir.Mailbox) -> tuple[list[maildir.Message], list[maildir.Message]]:
        mail = next((box / "mail/.Sent/cur").iterdir())
        mail.rename(mail.with_name(mail.name.partition(":")[0] + ":2,Sb"))
        full_of_keywords(box / "mail/.Sent", 2)
        return settle(self)

    monkeypatch.setattr(maildir.Mailbox, "settle", flagged)
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    assert "1 kw1" in (tmp_path / "one/mail" / BOX / "mail/.Sent/dovecot-keywords").read_text()


@pytest.mark.parametrize("name", ["tmp", "x.tmp", "x.lock", "x.newlog", "cur", "DOVECOT-TRASHED"])
def test_a_folder_called_as_a_passing_file_is_keeps_its_list_of_uids(
    box: Path, tmp_path: Path, name: str
) -> None:
    (box / "mail" / f".{name}" / "cur").mkdir(parents=True)
    (box / "mail" / f".{name}" / "dovecot-uidlist").write_text("3 V7 N1\n")
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    assert (tmp_path / "one/mail" / BOX / f"mail/.{name}/dovecot-uidlist").is_file()


def test_only_new_mail_is_copied_and_never_linked_to_the_live_mailbox(box: Path, tmp_path: Path) -> None:
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    (box / "mail/new/9.new.host").write_text("Subject: 99\n")
    flagged = next((box / "mail/.Sent/cur").iterdir())
    flagged.rename(flagged.with_name(flagged.name.partition(":")[0] + ":2,FS"))
    copied = copy_tree(tmp_path / "mailboxes", tmp_path / "two", tmp_path / "one")
    assert (copied.new, copied.new_bytes) == (1, 12)
    assert shared(tmp_path / "one", tmp_path / "two") == 40
    assert shared(tmp_path / "mailboxes", tmp_path / "two") == 0
    assert numbers(tmp_path / "two") == [*range(40), 99]


def test_a_mail_that_was_changed_or_damaged_is_copied_again(box: Path, tmp_path: Path) -> None:
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    live = next((box / "mail/.Sent/cur").iterdir())
    live.write_text("Subject: 7\n\nencrypted by somebody")
    damaged = next((tmp_path / "one/mail" / BOX / "mail/.Archive").glob("*/1*"))
    os.truncate(damaged, 3)
    copied = copy_tree(tmp_path / "mailboxes", tmp_path / "two", tmp_path / "one")
    assert copied.new == 2
    assert not any(p.stat().st_size == 3 for p in (tmp_path / "two").rglob("1*"))


def test_a_mail_damaged_by_the_disk_is_copied_again_when_it_is_compared(box: Path, tmp_path: Path) -> None:
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    damaged = next((tmp_path / "one/mail" / BOX / "mail/.Archive").glob("*/1*"))
    status, content = damaged.stat(), bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    os.utime(damaged, ns=(status.st_atime_ns, status.st_mtime_ns))
    copied = copy_tree(tmp_path / "mailboxes", tmp_path / "two", tmp_path / "one", compare=True)
    assert copied.new == 1 and shared(tmp_path / "one", tmp_path / "two") == 39
    index = dict(read_index(tmp_path / "two/mail.sha256"))
    assert {path: file_digest(tmp_path / "two" / path) for path in index} == index


def test_a_mail_on_its_way_between_two_folders_is_one_and_a_copy_that_stays_is_two(
    box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dovecot's MOVE gives the file a second name and removes the first one when it is done."""
    monkeypatch.setattr(maildir, "MOVE_SECONDS", 60)
    first, other = list((box / "mail/.Sent").glob("*/1*"))[:2]
    os.link(first, box / "mail/.Archive/cur/moved.host:2,")
    os.link(other, box / "mail/.Archive/cur/copied.host:2,")

    class Meanwhile(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            """The move is done while the backup waits for it."""
            first.unlink(missing_ok=True)
            return False

    monkeypatch.setattr(maildir, "Event", Meanwhile)
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    assert not first.exists(), "nobody waited"
    found = Counter(numbers(tmp_path / "one"))
    assert found.total() == 41 and [n for n, times in found.items() if times == 2] == [
        int(other.read_text().split("\n")[0].removeprefix("Subject: "))
    ]


def test_a_file_that_cannot_be_linked_is_copied(
    box: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ext4 allows 65,000 names a file."""
    copy_tree(tmp_path / "mailboxes", tmp_path / "one")

    def full(*_: object, **__: object) -> None:
        raise OSError(31, "Too many links")

    monkeypatch.setattr(mailcopy.os, "link", full)
    assert copy_tree(tmp_path / "mailboxes", tmp_path / "two", tmp_path / "one").new == 40


def test_nothing_is_read_through_a_link_in_the_mailbox(box: Path, tmp_path: Path) -> None:
    """Whoever breaks into the mail server can write there; the copy runs as root."""
    outside = tmp_path / "outside"
    (outside / "cur").mkdir(parents=True)
    (outside / "cur/secret").write_text("Subject: 666\n")
    (box / "mail/.Evil").symlink_to(outside)
    (box / "mail/cur/6.link.host:2,").symlink_to(outside / "cur/secret")
    (tmp_path / "mailboxes/example.com/eve").symlink_to(outside)
    os.mkfifo(box / "mail/cur/7.pipe.host:2,")
    os.mkfifo(box / "pipe")
    copied = copy_tree(tmp_path / "mailboxes", tmp_path / "one")
    assert 666 not in numbers(tmp_path / "one") and len(numbers(tmp_path / "one")) == 40
    assert list(copied.mailboxes) == ["ada@example.com"]
