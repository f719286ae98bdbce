"""A mailbox of everything odd that Dovecot accepts, and a picture of it that does not come from mailctl."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import imaplib
import json
import os
import random
import re
import shlex
import subprocess
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.stack import Stack

#: Every kind of name: what IMAP quotes, escapes, encodes or takes for a wildcard, what means something on the
#: disk, and the longest. Dovecot refuses dots (Maildir's separator), a tilde in front, control characters.
NAMES = (
    *('a"b', "back\\slash", "{10}\\r", "'q'", "`x`", "star*", "per%cent", "*", "%", "R&D", "&", "& -", "&-"),
    *(
        "José/日本語",
        "😀",
        "\u202ertl",
        "\u00a0nb",
        "\u0131",
        " lead",
        "trail ",
        "  ",
        "sub /x",
        "-",
        "-u",
        "!",
    ),
    *("Foo", "foo", "FOO/x", "Inbox/sub", "INBOX/sub2", "NIL", "{5}", "(paren)", "#news", "$x", "a,b", "a;b"),
    *(
        "cur",
        "new",
        "tmp",
        "x/tmp",
        "x/lock",
        "x/newlog",
        "DOVECOT-TRASHED",
        "dovecot-uidlist",
        ":2,S",
        "x:y",
    ),
    *("subscriptions", "maildirfolder", "a|b", "<a>", "nul?", "deep/a/b/c/d/e/f", "n" * 250, "日" * 40),
    f"{'l' * 120}/{'m' * 120}",
)
#: Its owner is subscribed to this folder, which no longer exists.
GONE = "gone & “forgotten”"
KEYWORDS = [f"kw{number:02}" for number in range(60)]
SYSTEM = (r"\Seen", r"\Flagged", r"\Answered", r"\Draft", r"\Deleted")
SCRIPTS = {"first": 'require "fileinto";\nkeep;\n', "zweites": 'if true { discard; } # "\\"\n'}
#: Dovecot adds these by itself.
OWN = {r"\Recent", "$HasAttachment", "$HasNoAttachment"}
#: Mail is moved between two folders below this one while the snapshot is taken.
MOVED = "Moved"
#: Dovecot makes these at their first use (dovecot.conf).
AUTOMATIC = ("Drafts", "Sent", "Archive", "Trash", "Junk")
MIB = 1 << 20
#: Of many mails so many come by IMAP. All files are this user's and group's.
TYPED, VMAIL = 300, (1000, 1000)


@dataclass(frozen=True)
class Size:
    """How much there is: mails in one folder, and large ones of 25 MiB."""

    mails: int = int(os.environ.get("ODD_MAILS", "300"))
    large: int = int(os.environ.get("ODD_LARGE", "2"))
    large_bytes: int = 25 * MIB


@dataclass(frozen=True)
class OddMailbox:
    """The mailbox of `address` in a Dovecot's container; `files` is its folder on this host."""

    container: str
    address: str
    files: Path

    def session(self) -> imaplib.IMAP4:
        words = [
            "docker",
            "exec",
            "--interactive",
            self.container,
            "doveadm",
            "exec",
            "imap",
            "-u",
            self.address,
        ]
        return imaplib.IMAP4_stream(f"{shlex.join(words)} 2>/dev/null")

    def doveadm(self, *words: str, stdin: str | None = None) -> str:
        command = ["docker", "exec", "--interactive", self.container, "doveadm", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, f"{shlex.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fill(self, size: Size, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311
        imap = self.session()
        for name in AUTOMATIC:
            imap.select(name)
        for name in (*NAMES, "Bulk", "Keywords", "Large", "Moved/A", "Moved/B"):
            _ok(imap.create(quoted(name)))
            if chance.random() < 0.5:
                _ok(imap.subscribe(quoted(name)))
            for _ in range(chance.choice((0, 1, 2))) if name in NAMES else ():
                append(imap, name, chance)
        for change in (imap.create, imap.subscribe, imap.delete):
            _ok(change(quoted(GONE)))
        for _ in range(min(size.mails, TYPED)):
            append(imap, chance.choice(("Bulk", "Bulk", "INBOX")), chance)
        self.deliver(size.mails - TYPED, chance)
        for keyword in KEYWORDS:
            append(imap, "Keywords", chance, (keyword, chance.choice(KEYWORDS), r"\Seen"))
        append(imap, "Keywords", chance, tuple(KEYWORDS))
        for _ in range(size.large):
            append(imap, "Large", chance, size=size.large_bytes)
        for _ in range(20):
            append(imap, "Moved/A", chance)
        imap.logout()
        for name, script in SCRIPTS.items():
            words = ("-a", name) if name == "zweites" else (name,)
            self.doveadm("sieve", "put", "-u", self.address, *words, stdin=script)

    def deliver(self, count: int, chance: random.Random) -> None:
        """Many mails as files, which Dovecot takes for its own: by IMAP a hundred thousand take an hour."""
        for number in range(count):
            content, when = raw(chance), chance.randrange(10**8, 10**9)
            flags = "".join(sorted(chance.sample("FRS", chance.randrange(3))))
            path = self.files / "mail/.Bulk/cur" / f"{when}.M{number}P1.odd,S={len(content)}:2,{flags}"
            path.write_bytes(content)
            os.utime(path, (when, when))
            os.chown(path, *VMAIL)

    def uids(self, folder: str) -> list[str]:
        return self.doveadm("search", "-u", self.address, "mailbox", folder).split()[1::2]

    def picture(self) -> dict[str, Any]:
        """Folders with UIDVALIDITY, mails with UID, flags, keywords, date and size; all that is beside.

        Mails that move are only in the contents.
        """
        fields = "mailbox uid flags date.received size.virtual"
        rows = self.doveadm("-f", "tab", "fetch", "-u", self.address, fields, "ALL").split("\n")[1:]
        scripts = self.doveadm("-f", "tab", "sieve", "list", "-u", self.address)
        return {
            "mails": sorted(_row(row) for row in rows if row and not row.startswith(MOVED)),
            "folders": sorted(
                self.doveadm("-f", "tab", "mailbox", "status", "-u", self.address, "uidvalidity", "*").split(
                    "\n"
                )
            ),
            "subscriptions": sorted(self.doveadm("mailbox", "list", "-s", "-u", self.address).split("\n")),
            "scripts": sorted(scripts.split("\n")),
            "rules": {path.name: path.read_bytes() for path in self.files.glob("sieve/*.sieve")},
            "contents": self.contents(),
        }

    def contents(self) -> dict[str, Counter[str]]:
        """The SHA-256 of each file, by folder; of what moves, in one."""
        found: dict[str, Counter[str]] = {}
        for path in self.files.glob("mail/**/*"):
            if path.parent.name in ("cur", "new") and path.is_file():
                place = str(path.parent.parent.relative_to(self.files))
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found.setdefault("moved" if f".{MOVED}." in place else place, Counter())[digest] += 1
        return found


class Motion(threading.Thread):
    """Mail that arrives and is moved, until stopped; none of it is deleted."""

    def __init__(self, box: OddMailbox, seed: int) -> None:
        super().__init__(daemon=True)
        self.imap, self.chance = box.session(), random.Random(seed)  # noqa: S311
        self.moves, self.ended = 0, threading.Event()

    def run(self) -> None:
        while not self.ended.is_set():
            here, there = self.chance.sample(("Moved/A", "Moved/B"), 2)
            if int(self.imap.select(here)[1][0] or 0):
                self.imap.uid(
                    "MOVE", "1:*", there
                ) if self.chance.random() < 0.3 else self.imap._simple_command("MOVE", "1", there)
            append(self.imap, here, self.chance)
            self.moves += 1

    def stop(self) -> None:
        self.ended.set()
        self.join(60)
        self.imap.logout()


def append(
    imap: imaplib.IMAP4, name: str, chance: random.Random, flags: tuple[str, ...] = (), size: int = 0
) -> None:
    """One mail with what few programs write: 8-bit octets, lone line ends, a date long ago."""
    content = raw(chance, size)
    flags = flags or tuple(chance.sample((*SYSTEM, "$Forwarded", "work"), chance.randrange(4)))
    month = chance.choice(("Jan", "Jul"))
    when = f'"{chance.randrange(1, 28):02}-{month}-{chance.randrange(1971, 2026)} 01:02:03 +0000"'
    _ok(imap.append(quoted(name), f"({' '.join(flags)})", when, content))


def raw(chance: random.Random, size: int = 0) -> bytes:
    """The content of a mail."""
    length = size or chance.choice((0, 3, 700, 5000)) + chance.randrange(200)
    line = chance.randbytes(45).replace(b"\r", b".").replace(b"\n", b".").replace(b"\0", b".") + b"\r\n"
    return b"Subject: %d\r\n\r\n" % chance.getrandbits(60) + (line * (length // 47 + 1))[:length]


def quoted(name: str) -> str:
    """A folder's name as IMAP writes it."""

    def encode(found: re.Match[str]) -> str:
        text = base64.b64encode(found[0].encode("utf-16-be")).rstrip(b"=").replace(b"/", b",")
        return f"&{text.decode()}-"

    encoded = re.sub(r"[^\x20-\x7e]+", encode, name.replace("&", "&-"))
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def measured(stack: Stack, *words: object) -> tuple[dict[str, Any], int]:
    """What a command of mailctl says in JSON, and the memory that it took at most, in MiB."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [".venv/bin/mailctl", *map(str, words), "--local", "--json"],
            cwd=stack.repository,
            env={**os.environ, **stack.environment},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        peak = 0
        # Of the kernel's own count: what wait4 tells begins with the memory of the process that forked.
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
                peak = int(found[1]) if found else peak
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.05)
        said.seek(0)
        text = said.read().decode()
    assert process.returncode == 0, text
    return json.loads(text[text.index("{\n") :]), peak >> 10


def _row(row: str) -> tuple[str, ...]:
    name, uid, flags, *rest = row.split("\t")
    return (name, uid, " ".join(sorted(set(flags.split()) - OWN)), *rest)


def _ok(answer: tuple[str, Any]) -> None:
    assert answer[0] == "OK", answer
