"""Old mail moves in: from a second Dovecot over IMAP, killed and repeated, with folders, flags and dates."""

from __future__ import annotations

import imaplib
import json
import os
import random
import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from tests.stack.clients import Mailbox
from tests.stack.keeper import Keeper, end
from tests.stack.stack import Stack, clear, eventually, run

# `make soak` asks for 20,000 mails and five kills.
MAILS = int(os.environ.get("STACK_IMPORT_MAILS", "600"))
KILLS = int(os.environ.get("STACK_KILL_MOMENTS", "2"))
SETTINGS = """dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = /run/dovecot
state_dir = /run/dovecot
log_path = /dev/stderr
protocols = imap
mail_driver = maildir
mail_home = /srv/vmail/%{user}
mail_path = ~/mail
mail_uid = vmail
mail_gid = vmail
first_valid_uid = 1000
mailbox_list_storage_escape_char = ^
ssl_server {
  cert_file = /old/tls.crt
  key_file = /old/tls.key
}
passdb static {
  password = the 50% "old" password
}
userdb static {
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox "Gesendet" {
    special_use = \\Sent
  }
  mailbox "All" {
    special_use = \\All
  }
}
default_internal_user = vmail
default_login_user = vmail
default_internal_group = vmail
service imap-login {
  chroot =
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = 31993
    ssl = yes
  }
}
"""
CERTIFICATE = """import sys
from pathlib import Path
from mailctl.secret_files.certificates import new_key, service_certificate
folder, key = Path(sys.argv[1]), new_key()
authority = [Path(".local/secrets", f"internal_ca.{part}").read_bytes() for part in ("crt", "key")]
(folder / "tls.key").write_bytes(key)
(folder / "tls.new").write_bytes(service_certificate(b"", key, *authority, [sys.argv[2]]))"""
PASSWORD = 'the 50% "old" password'  # noqa: S105 (of the server above)
#: There, and here.
FOLDERS = {
    "INBOX": "INBOX",
    "Gesendet": "Sent",
    "Plans/2026": "Plans/2026",
    "ex.ample": "ex_ample",
    "&ZeVnLIqe-": "&ZeVnLIqe-",
}
Seen = list[tuple[list[bytes], bytes, str]]


@dataclass
class Old:
    """The server that people come from."""

    host: str
    ca: Path

    def imap(self, login: str) -> imaplib.IMAP4_SSL:
        tls = ssl.create_default_context(cafile=str(self.ca))
        connection = imaplib.IMAP4_SSL(self.host, 31993, ssl_context=tls, timeout=60)
        connection.authenticate("PLAIN", lambda _: f"\0{login}\0{PASSWORD}".encode())
        return connection

    def fill(self, login: str, mails: int) -> None:
        """Mails over all folders, each with other flags and another date; the last folder repeats some."""
        imap = self.imap(login)
        for folder in [*FOLDERS, "All"]:
            imap.create(f'"{folder}"')
        for number in range(mails):
            put(imap, list(FOLDERS)[number % len(FOLDERS)], number)
        put(imap, "All", 0)
        put(imap, "All", mails)
        imap.logout()


def put(imap: imaplib.IMAP4, folder: str, number: int) -> None:
    flags = ("", r"\Seen", r"\Flagged \Answered", r"\Seen $Forwarded", "invoice")[number // 5 % 5]
    mail = f"Subject: {number}\r\nMessage-ID: <{number}@old.example>\r\n\r\n" + "text\r\n" * (number % 40)
    date = imaplib.Time2Internaldate(1_500_000_000 + number * 3601)
    assert imap.append(f'"{folder}"', f"({flags})", date, mail.encode())[0] == "OK"


def seen(imap: imaplib.IMAP4, folder: str) -> Seen:
    """Flags, date and content of each mail."""
    total = int(imap.select(f'"{folder}"', readonly=True)[1][0])
    parts = imap.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1] if total else []
    return sorted(
        (
            sorted({*re.search(rb"FLAGS \((.*?)\)", head)[1].split()} - {rb"\Recent"}),
            re.search(rb'INTERNALDATE "(.*?)"', head)[1],
            sha256(body).hexdigest(),
        )
        for head, body in (part for part in parts if isinstance(part, tuple))
    )


@pytest.fixture
def old(stack: Stack, tmp_path: Path) -> Iterator[Old]:
    """A second Dovecot where the internet would be, with a certificate for its address."""
    name = f"{stack.project}-old"
    subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
    folder = tmp_path / "old"
    folder.mkdir()
    tmp_path.chmod(0o755)
    (folder / "dovecot.conf").write_text(SETTINGS)
    # It has no address, and so no certificate, before it runs.
    script = "until [ -f /old/tls.crt ]; do :; done; exec dovecot -F -c /old/dovecot.conf"
    words = (
        *(
            "run",
            "--detach",
            "--rm",
            "--name",
            name,
            "--network",
            f"{stack.project}_egress",
            "--pull",
            "never",
        ),
        *("--tmpfs", "/run/dovecot:uid=1000,gid=1000,mode=755", "--tmpfs", "/srv/vmail:uid=1000,gid=1000"),
        *("--volume", f"{folder}:/old:ro", "--entrypoint", "/bin/sh"),
    )
    run("docker", *words, stack.inspect("dovecot")["Config"]["Image"], "-c", script, cwd=tmp_path)
    try:
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = run("docker", "inspect", "--format", shown, name, cwd=tmp_path).strip()
        run(".venv/bin/python", "-c", CERTIFICATE, str(folder), address, cwd=stack.repository)
        (folder / "tls.new").rename(folder / "tls.crt")
        found = Old(address, Path(stack.info["ca_file"]))
        eventually(lambda: found.imap("nobody"), limit=30)
        yield found
    finally:
        clear(name)
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)


@pytest.mark.docker
def test_a_mailbox_moves_in_however_often_the_import_is_killed(stack, mailboxes, old, tmp_path):
    keeper, box = Keeper(stack), mailboxes.new("moved")
    old.fill("anna", MAILS)
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    words = (
        "import",
        "mail",
        box.address,
        f"imaps://{old.host}:31993",
        "--login",
        "anna",
        "--local",
        "--json",
    )
    words += ("--password-file", str(secret), "--ca", str(old.ca))
    full = keeper.start(*words, RESERVE_GIB="1000000")
    (problem,) = json.loads(full.communicate()[0])["problems"]
    assert full.returncode == 1 and "stay free" in problem["wrong"], problem
    assert seen(Mailbox(box.address, box.info).imap, "INBOX") == []
    moments, whole = random.Random(), MAILS / 60  # noqa: S311 (moments)
    for _ in range(KILLS):
        process = keeper.start(*words)
        try:
            process.wait(moments.uniform(2, whole))
        except subprocess.TimeoutExpired:
            end(process, signal.SIGKILL)
    done = bring(keeper, words)
    rows = {row["folder"]: row for row in done["people"][0]["folders"]}
    assert done["ok"] and rows["All"]["elsewhere"] == 1 and rows["ex.ample"]["renamed"]
    there = old.imap("anna")
    here = Mailbox(box.address, box.info).imap
    assert all(row["there"] == row["here"] for name, row in rows.items() if name != "All")
    for folder, to in FOLDERS.items():
        assert seen(here, to) == seen(there, folder), folder
    assert len(seen(here, "Archive")) == 1
    # Until the switch: what is new there comes, what was deleted here stays so, and the container is gone.
    here.select("INBOX")
    here.store("1", "+FLAGS", r"(\Deleted)")
    here.expunge()
    put(there, "INBOX", MAILS + 1)
    rows = {row["folder"]: row for row in bring(keeper, words)["people"][0]["folders"]}
    assert sum(row["added"] for row in rows.values()) == 1
    assert rows["INBOX"]["here"] == rows["INBOX"]["there"] - 1
    names = run("docker", "ps", "--all", "--format", "{{.Names}}", cwd=tmp_path).split()
    assert f"{stack.project}-import" not in names


def bring(keeper: Keeper, words: tuple[str, ...]) -> dict:
    """The document of an import that comes to its end."""
    said = keeper.stack.mailctl(*words)
    assert PASSWORD not in said
    return json.loads(said[said.index("{\n") :])
