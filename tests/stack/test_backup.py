"""A backup of the running stack: while IMAP clients work, by an account that only reads; a virus is found."""

from __future__ import annotations

import gzip
import hashlib
import json
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack.attachments import with_macros
from tests.stack.clients import Mailbox, Mailboxes, Sink
from tests.stack.scenes import EICAR
from tests.stack.stack import Stack, eventually, run

MAILS, CLIENTS, ROUNDS = 60, 2, 3
FOLDERS = ("INBOX", "Archive", "Sent")


@pytest.fixture(scope="module")
def key(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The owner's key, and the repository under git, as after the first hour."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        run(*git, *words, cwd=stack.repository)
    path = tmp_path_factory.mktemp("owner") / "age.key"
    stack.mailctl("backup-key", "--local", "--out", str(path))
    yield path
    run("rm", "-rf", str(stack.repository / ".git"), cwd=stack.repository)


def backup(stack: Stack, *options: str) -> dict:
    """Take a snapshot; the JSON that it prints."""
    done = mailctl(stack, "backup", "--local", "--json", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def mailctl(stack: Stack, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [".venv/bin/mailctl", *words],
        cwd=stack.repository,
        env={**stack.environment, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


class Client(threading.Thread):
    """A mail program that moves, flags and expunges; `gone` are those it expunged, a quarter at most.

    Each has mails of its own: of two MOVEs of one mail at a time, Dovecot makes two mails.
    """

    def __init__(self, mailbox: Mailbox, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.session = Mailbox(mailbox.address, mailbox.info).imap
        self.random, self.ended = random.Random(number), threading.Event()  # noqa: S311
        self.gone: set[int] = set()
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                self._act()
        except BaseException as error:  # noqa: BLE001 (told by the test, in the main thread)
            self.error = error

    def _act(self) -> None:
        source, target = self.random.sample(FOLDERS, 2)
        self.session.select(source)
        uids = self.session.uid("SEARCH", "ALL")[1][0].split()
        if not uids:
            return
        uid, act = self.random.choice(uids), self.random.randrange(10)
        answer = self.session.uid("FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
        found = [int(part[1].split()[-1]) for part in answer if isinstance(part, tuple)]
        if not found or found[0] % CLIENTS != self.number:
            return
        if act < 4:
            self.session.uid("STORE", uid, self.random.choice(("+FLAGS", "-FLAGS")), r"(\Flagged \Seen)")
        elif act < 9 or len(self.gone) >= MAILS // 4:
            self.session.uid("MOVE", uid, target)
        else:
            self.gone.add(found[0])
            self.session.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
            self.session.expunge()


def subjects(mailbox: Path) -> Counter[int]:
    """Which of our numbered mails lie in a mailbox of a snapshot, and how often."""
    found = (p.read_bytes() for p in mailbox.rglob("*") if p.is_file() and p.parent.name in ("cur", "new"))
    return Counter(int(raw.split(b"Subject: number ", 1)[1].split()[0]) for raw in found)


def test_a_backup_while_clients_work_holds_every_mail_once(stack, key: Path, mailboxes: Mailboxes) -> None:
    mailbox = mailboxes.new("busy")
    for number in range(MAILS):
        mailbox.imap.append(
            FOLDERS[number % 3], None, None, f"Subject: number {number}\r\n\r\nx\r\n".encode()
        )
    clients = [Client(mailbox, number) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        documents = [backup(stack) for _ in range(ROUNDS)]
    finally:
        for client in clients:
            client.ended.set()
            client.join()
    assert [client.error for client in clients] == [None, None]
    gone = set().union(*(client.gone for client in clients))
    name, _, domain = mailbox.address.partition("@")
    path = Path(documents[-1]["path"])
    found = subjects(path / "mail" / domain / name)
    assert [number for number in range(MAILS) if number not in gone and found[number] != 1] == []
    assert max(found.values()) == 1
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["components"]["mail"]["mailboxes"][mailbox.address]["messages"] == found.total()
    assert run("sha256sum", "--check", "--quiet", "mail.sha256", cwd=path) == ""


def test_everything_of_the_stack_is_in_it(stack, key: Path, mailboxes: Mailboxes) -> None:
    mailbox = mailboxes.new("kept")
    document = backup(stack, "--weekly")
    path = Path(document["path"])
    manifest = json.loads((path / "manifest.json").read_text())
    assert document["ok"] and document["weekly"] and manifest["schema_revision"] == "0018"
    assert "dovecot" in manifest["images"]
    dump = gzip.decompress((path / "mysql/mailserver.sql.gz").read_bytes()).decode()
    assert mailbox.address in dump and "-- Dump completed" in dump
    assert b"CREATE TABLE `users`" in gzip.decompress((path / "mysql/roundcube.sql.gz").read_bytes())
    for name in ("mysql", "config", "ssl", "dkim", "learned"):
        for file, entry in manifest["components"][name]["list"].items():
            assert hashlib.sha256((path / file).read_bytes()).hexdigest() == entry["sha256"]
    stack.healthy("dovecot", "mariadb", "postfix")


@pytest.mark.parametrize(
    "statement", ["DELETE FROM mailboxes", "CREATE TABLE x (i INT)", "SET GLOBAL read_only=1"]
)
def test_the_account_that_dumps_changes_nothing(stack, statement: str) -> None:
    client = (
        "MYSQL_PWD=$(cat /run/secrets/backup_db_password) mariadb {} --user=backup mailserver --execute='{}'"
    )
    socket = "--skip-ssl --socket=/run/mysqld/mysqld.sock"
    with pytest.raises(AssertionError, match="denied"):
        stack.exec("mariadb", "sh", "-c", client.format(socket, statement))
    with pytest.raises(AssertionError, match="Access denied for user 'backup'"):
        stack.exec("mariadb", "sh", "-c", client.format("--host=mariadb", "SELECT 1"))


def test_a_component_that_fails_is_told_by_mail_and_the_good_snapshot_stays(
    stack, key: Path, mailboxes: Mailboxes
) -> None:
    backup(stack)
    hidden = (stack.repository / ".git").rename(stack.repository / ".git-away")
    try:
        failed = mailctl(stack, "backup", "--local", "--json")
    finally:
        hidden.rename(stack.repository / ".git")
    document = json.loads(failed.stdout)
    assert failed.returncode == 1 and document["kept"] is False, failed.stderr
    assert {name for name, entry in document["components"].items() if not entry["ok"]} == {"config"}
    # The administrator's address is elsewhere, so the mail leaves through the relay.
    assert b"config:" in Sink(stack.info).raw(f"[{stack.project}] backup failed")
    assert json.loads((Path(document["path"]) / "manifest.json").read_text())["components"]["config"]["ok"]


def test_a_virus_in_a_snapshot_is_refused_or_set_aside(
    scanned: Stack, key: Path, mailboxes: Mailboxes, tmp_path: Path
) -> None:
    mailbox = mailboxes.new("virus")
    mailbox.imap.append("INBOX", None, None, b"Subject: number 1\r\n\r\n" + EICAR + b"\r\n")
    mailbox.imap.append("INBOX", None, None, b"Subject: number 2\r\n\r\nharmless\r\n")
    # Of before this server refused them, or the owner's own.
    mailbox.imap.append("INBOX", None, None, with_macros("number 3", mailbox.address).as_bytes())
    backup(scanned)
    refused = mailctl(scanned, "scan", "--local", "--json")
    document = json.loads(refused.stdout)
    name, _, domain = mailbox.address.partition("@")
    assert refused.returncode == 1, refused.stderr
    assert [f["path"].rpartition("/mail/")[0] for f in document["findings"]] == [f"mail/{domain}/{name}"]
    assert document["scanned"] > 1
    aside = mailctl(scanned, "scan", "--local", "--json", "--quarantine", str(tmp_path / "aside"))
    assert aside.returncode == 0, aside.stderr
    listed = json.loads(next((tmp_path / "aside").rglob("findings.json")).read_text())
    kept = next((tmp_path / "aside").rglob(listed["findings"][0]["file"]))
    assert EICAR in kept.read_bytes()
    eventually(lambda: mailbox.find("number 2"))
    # Or the next restore on this stack would refuse a snapshot of it.
    mailbox.imap.select("INBOX")
    mailbox.imap.store("1:*", "+FLAGS", r"\Deleted")
    mailbox.imap.expunge()
