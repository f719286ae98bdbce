"""One person's data on a running stack: the export holds all of it, and after the erasure nothing is left."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.stack.clients import PASSWORD, Accounts, Edge, Mailbox, Mailboxes, Webmail, message
from tests.stack.managesieve import ManageSieve
from tests.stack.stack import Stack

#: Names that Dovecot accepts, as IMAP writes them.
FOLDERS = (
    "INBOX",
    r"He said \"yes\"",
    r"back\\slash",
    "this &- that",
    "&ZeVnLIqe-",
    "two  spaces",
    "a/b/c",
    "UPPER",
    "upper",
)
SIEVE = 'require ["fileinto"];\r\nif header :contains "Subject" "walk" { fileinto "UPPER"; }\r\n'
EVERYTHING = (
    "MYSQL_PWD=$(cat /run/secrets/mariadb_root_password) exec mariadb-dump --user=root --skip-extended-insert"
    " --hex-blob --databases mailserver roundcube"
)


def mail(number: int) -> bytes:
    """No two are alike; lines that begin with From, dots and bytes above 127 stay what they are."""
    return f"Subject: number {number}\r\n\r\nFrom here\r\n.\r\n".encode() + bytes([0xFF, 0xFE]) + b"\r\n"


class Person:
    """Somebody with mail in odd folders, an alias, an app password, a filter, and a log-in to the webmail."""

    def __init__(self, stack: Stack, accounts: Accounts, box: Mailbox, alias: str) -> None:
        self.stack, self.box, self.address = stack, box, box.address
        # Dovecot keeps lines as Unix does.
        self.mails = {mail(number).replace(b"\r\n", b"\n") for number in range(len(FOLDERS))}
        for number, folder in enumerate(FOLDERS):
            box.imap.create(f'"{folder}"')
            said = box.imap.append(f'"{folder}"', r"(\Seen $Later)", None, mail(number))
            assert said[0] == "OK", said
        self.alias = alias
        accounts.add_alias(self.alias, self.address)
        pages = Accounts.of_reader(stack.info, self.address)
        pages.submit("account", "account/app-passwords", name="My phone", old_password=PASSWORD)
        pages.submit("senders", "senders", sender="writer@sender.example", kind="allow")
        session = ManageSieve(stack, box)
        session.ask(f'PUTSCRIPT "mine" {{{len(SIEVE)}+}}\r\n{SIEVE}')
        session.ask('SETACTIVE "mine"')
        assert Webmail(stack.info).log_in(self.address, PASSWORD).status_code == 302
        Edge(stack.info).post(message("for the log", to=self.address), self.address)
        box.read("for the log")

    def mailctl(self, *words: str) -> dict[str, Any]:
        done = subprocess.run(
            [".venv/bin/mailctl", *words, "--local", "--json"],
            cwd=self.stack.repository,
            env=self.stack.environment | {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def person(stack: Stack, accounts: Accounts) -> Person:
    mailboxes = Mailboxes(stack.info, accounts)
    return Person(stack, accounts, mailboxes.new("leaving"), mailboxes.address("team"))


@pytest.fixture(scope="module")
def exported(person: Person, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked."""
    folder = tmp_path_factory.mktemp("export")
    made = person.mailctl("export", person.address, "--out", str(folder / "all.tar"))
    assert Path(made["file"]).stat().st_mode & 0o777 == 0o600
    with tarfile.open(made["file"]) as archive:
        archive.extractall(folder, filter="data")
    return folder / person.address


@pytest.fixture(scope="module")
def erased(person: Person, exported: Path) -> dict[str, Any]:
    """What is said of an erasure."""
    return person.mailctl("erase", person.address, "--yes")


def test_an_export_holds_every_mail_byte_for_byte_whatever_its_folder_is_called(person, exported):
    found = {
        path.read_bytes() for path in (exported / "mail").rglob("*") if path.parent.name in ("cur", "new")
    }
    assert person.mails <= found
    folders = {path.parent.parent for path in exported.rglob("*") if path.parent.name == "cur"}
    assert len(folders) >= len(FOLDERS)


def test_an_export_holds_the_filter_and_says_which_one_is_on(exported):
    assert (exported / "sieve/mine.sieve").read_bytes().decode() == SIEVE
    assert (exported / ".dovecot.sieve").readlink() == Path("sieve/mine.sieve")


def test_an_export_holds_the_account_and_no_secret_of_it(person, exported):
    account = json.loads((exported / "account.json").read_text())
    assert account["mailboxes"][0]["email"] == person.address
    assert account["aliases"][0]["source"] == person.alias
    assert account["app_passwords"][0]["name"] == "My phone"
    assert account["sender_rules"][0]["pattern"] == "writer@sender.example"
    assert account["users"][0]["username"] == account["identities"][0]["email"] == person.address
    assert {"mailbox.add", "alias.add"} <= {row["action"] for row in account["audit_log"]}
    assert account["login_attempts"] and account["web_sessions"][0]["user_agent"]
    assert "hash" not in (exported / "account.json").read_text().replace("hashes", "")


def test_an_export_names_the_lines_of_the_logs(exported, person):
    assert f"<{person.address}>" in (exported / "log-lines.txt").read_text()


def test_after_an_erasure_no_table_of_both_databases_knows_the_address(erased, person):
    dump = person.stack.exec("mariadb", "sh", "-c", EVERYTHING)
    assert [line[:300] for line in dump.splitlines() if person.address in line] == []


def test_after_an_erasure_no_mail_is_on_the_disk(erased, person):
    listed = person.stack.exec(
        "dovecot", "sh", "-c", "grep -rlaE 'Subject: number [0-9]+' /srv/vmail || true"
    )
    assert person.address.partition("@")[0] not in listed


def test_an_erasure_says_what_stays(erased):
    assert any("log" in each["what"] for each in erased["stays"])


def test_the_next_person_with_an_erased_address_gets_a_folder_of_their_own(erased, person, accounts):
    accounts.add_mailbox(person.address)
    home = person.stack.sql("SELECT home FROM mailboxes WHERE email = @who", who=person.address)
    assert home.endswith("+2")
    assert Mailbox(person.address, person.stack.info).imap.select("INBOX")[1] == [b"0"]
