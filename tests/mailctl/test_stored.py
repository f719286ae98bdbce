"""A Maildir as it lies on the disk is read as Dovecot shows it."""

import tarfile
from pathlib import Path

from restore_scene import WHEN, write_mailbox
from test_restore import ME, THEN

from mailctl.backup.restore.index import keywords
from mailctl.backup.restore.stored import folders, mails, shown, subscriptions, utf7


def test_a_maildir_is_read_as_imap_shows_it(tmp_path: Path) -> None:
    write_mailbox(tmp_path, ME, THEN)
    root = tmp_path / "example.com" / "me"
    assert list(folders(root)) == ["INBOX", "Archive/2026"]
    [three] = mails(folders(root)["Archive/2026"])
    assert three.flags == {"\\Flagged", "work"} and three.received == WHEN and three.uid is None
    assert [mail.uid for mail in mails(folders(root)["INBOX"])] == [1, 2]
    assert shown(b"a\nb\r\n\0") == b"a\r\nb\r\n\x80"
    assert utf7("Entwürfe & mehr/日本語") == "Entw&APw-rfe &- mehr/&ZeVnLIqe-"


def test_keywords_beyond_the_letters_are_read_as_dovecot_shows_them(tmp_path: Path) -> None:
    with tarfile.open(Path(__file__).parent / "recordings" / "dovecot-index.tar.xz") as recorded:
        recorded.extractall(tmp_path, filter="data")
    folder = tmp_path / "dovecot-index"
    rows = [line.split("\t") for line in (folder / "said").read_text().splitlines()[1:]]
    shown = {int(uid): {word for word in flags.split() if word[0] != "\\"} for uid, flags in rows}
    found = keywords(folder)
    assert {uid: found[uid] for uid in shown} == shown
    assert set(found) - set(shown) <= {2}, "it was expunged"
    with (folder / "dovecot.index.log").open("ab") as log:
        log.write(b"\0\0\0\0half")
    assert keywords(folder) == found


def test_subscriptions_are_read_in_both_of_dovecots_forms(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    assert subscriptions(tmp_path) == []
    for text in ("V\t2\n\nSent\nLists\tDebian\n gone \n", "Sent\nLists/Debian\n gone \n"):
        (tmp_path / "mail" / "subscriptions").write_text(text)
        assert subscriptions(tmp_path) == ["Sent", "Lists/Debian", " gone "]
