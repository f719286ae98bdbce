"""Backups of a running stack for the tests: taking one, and what a mailbox looks like from outside."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.clients import Mailbox
from tests.stack.stack import Stack, run

KEYWORD = "invoice"


@dataclass(frozen=True)
class Keeper:
    """Takes snapshots of a stack and restores them, by mailctl's own commands."""

    stack: Stack

    @property
    def hdd(self) -> Path:
        return self.stack.repository / ".local" / "hdd"

    def prepare(self) -> None:
        """What a backup needs once: the owner's key, and a repository with a commit."""
        if "BACKUP_AGE_RECIPIENTS=age1" not in (self.stack.repository / ".local" / ".env").read_text():
            self.stack.mailctl("backup-key", "--local", "--json")
        if not (self.stack.repository / ".git").exists():
            author = ("-c", "user.name=a", "-c", "user.email=a@b.example")
            for words in (
                ("init", "--quiet"),
                ("add", "--all"),
                (*author, "commit", "--quiet", "-m", "first"),
            ):
                run("git", *words, cwd=self.stack.repository)

    def backup(self) -> Path:
        """The folder of a new snapshot."""
        self.prepare()
        said = self.stack.mailctl("backup", "--local", "--json")
        document = json.loads(said[said.index("{\n") :])
        return self.hdd / document["id"]

    def restore(self, *words: object) -> dict[str, Any]:
        """What `mailctl restore` did; a failure shows all its output."""
        said = self.stack.mailctl("restore", "--local", "--json", *map(str, words))
        return json.loads(said[said.index("{\n") :])

    def start(self, *words: object, **settings: str) -> subprocess.Popen[str]:
        """A mailctl command in the background, in a process group of its own."""
        return subprocess.Popen(
            [".venv/bin/mailctl", *map(str, words)],
            cwd=self.stack.repository,
            env={**os.environ, **self.stack.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def confirm(self) -> None:
        self.restore("--confirm", "--yes")

    def destroy(self) -> None:
        """The loss of every volume: all mail, accounts and keys, and all secrets but the host's age key."""
        project = self.stack.project
        labelled = ("--filter", f"label=com.docker.compose.project={project}")
        found = run("docker", "ps", "--all", "--quiet", *labelled, cwd=self.hdd).split()
        run("docker", "rm", "--force", *found, cwd=self.hdd)
        volumes = run("docker", "volume", "ls", "--quiet", *labelled, cwd=self.hdd).split()
        run("docker", "volume", "rm", *volumes, cwd=self.hdd)
        for folder in (self.hdd / "mailboxes", self.hdd.parent / "ssd" / "mariadb"):
            shutil.rmtree(folder)
            folder.mkdir()
        for path in (self.hdd.parent / "secrets").iterdir():
            if path.name != "backup_age_identity":
                path.unlink()

    def leftovers(self, purpose: str) -> str:
        """Containers, volumes and networks of a scratch stack, and its folders."""
        labelled = ("--filter", f"label=com.docker.compose.project={self.stack.project}-{purpose}")
        found = [
            run("docker", *words, *labelled, cwd=self.hdd)
            for words in (("ps", "-aq"), ("volume", "ls", "-q"), ("network", "ls", "-q"))
        ]
        folders = [*self.hdd.glob(f".mailctl/{purpose}"), *self.hdd.parent.glob("ssd/.restore-*")]
        return "".join(found) + "".join(map(str, folders))


def end(process: subprocess.Popen[str], how: signal.Signals) -> str:
    """Send a signal to a whole process group, as a terminal does, and return what the command had said."""
    os.killpg(process.pid, how)
    said, _ = process.communicate(timeout=300)
    return said


def picture(box: Mailbox) -> dict[str, Any]:
    """All that a mail program sees of a mailbox: folders, mails, flags, dates, quota."""
    seen: dict[str, Any] = {"quota": box.imap.getquotaroot("INBOX")[1][1][0].split()[-1]}
    for line in box.imap.list()[1]:
        flags, _, folder = line.decode().rpartition(' "/" ')
        if "noselect" in flags.lower():
            continue
        total = int(box.imap.select(folder, readonly=True)[1][0])
        parts = box.imap.fetch("1:*", "(UID FLAGS INTERNALDATE BODY.PEEK[])")[1] if total else []
        seen[folder] = sorted(_mail(head, body) for head, body in (p for p in parts if isinstance(p, tuple)))
    return seen


def _mail(head: bytes, body: bytes) -> tuple[str, ...]:
    flags = sorted(re.search(rb"FLAGS \((.*?)\)", head)[1].split())
    date = re.search(rb'INTERNALDATE "(.*?)"', head)[1].decode()
    shown = " ".join(flag.decode() for flag in flags if flag != rb"\Recent")
    return hashlib.sha256(body).hexdigest(), shown, date, re.search(rb"UID (\d+)", head)[1].decode()
