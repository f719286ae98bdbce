"""An import adds each mail once, however often it runs, and leaves nothing half-done where it is refused.

That Dovecot itself fetches and imports them is tried in the template, in tests/stack/test_import.py.
"""

from __future__ import annotations

import imaplib
import json
import os
import shutil
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

from mailctl.backup.restore import imap as here
from mailctl.backup.restore import merge, stored
from mailctl.backup.restore.imap import Shown
from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.importing import imap, memory, run
from mailctl.importing.part import Part

ANNA, MB = "anna@example.com", 1 << 20


class Box:
    """The mailbox here: by folder the mails as IMAP sends them."""

    def __init__(self) -> None:
        self.content: dict[str, list[bytes]] = {"INBOX": []}

    def folders(self) -> list[str]:
        return list(self.content)

    def mails(self, folder: str, uids: object = None, read: bool = False) -> Iterator[Shown]:
        for uid, mail in enumerate(self.content[folder]):
            yield Shown(uid, frozenset(), 0, len(mail))

    def digests(self, folder: str, uids: list[int]) -> Counter[str]:
        from hashlib import sha256

        return Counter(sha256(self.content[folder][uid]).hexdigest() for uid in uids)

    def ensure(self, folders: list[str]) -> list[str]:
        made = [folder for folder in folders if folder not in self.content]
        self.content.update({folder: [] for folder in made})
        return made

    def subscribe(self, folders: list[str]) -> None:
        pass

    def count(self, folder: str) -> int:
        return len(self.content[folder])

    @property
    def subjects(self) -> dict[str, list[str]]:
        return {f: sorted(m.split(b"\r\n")[0].decode() for m in mails) for f, mails in self.content.items()}


@pytest.fixture
def hdd(repo: Path, tmp_path: Path) -> Path:
    (tmp_path / "hdd" / "mailboxes").mkdir(parents=True)
    (repo / ".env").write_text(f"HDD_PATH={tmp_path}/hdd\nMAIL_DOMAIN=example.com\n")
    return tmp_path / "hdd"


@pytest.fixture
def box(hdd: Path, engine: FakeEngine, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> Box:
    """A mailbox of 1 MB into which "Dovecot" imports what lies in its reach."""
    there = Box()
    engine.containers = [container("dovecot")]
    docker.answer("home", "/srv/vmail/example.com/anna\n")
    head = "Quota name\tType\tValue\tLimit\t%\n"
    docker.answer("quota", f"{head}User quota\tSTORAGE\t24\t1000\t2\nUser quota\tMESSAGE\t3\t-\t0\n")

    @contextmanager
    def opened(_container: str, _address: str) -> Iterator[Box]:
        yield there

    def bring_in(_dovecot: str, _part: merge.Part) -> None:
        for name, maildir in stored.folders(hdd / "mailboxes" / ".mailctl" / "restore").items():
            there.ensure([name])
            there.content[name] += (b"".join(stored.pieces(mail.path)) for mail in stored.mails(maildir))

    monkeypatch.setattr(here, "opened", opened)
    monkeypatch.setattr(merge, "bring_in", bring_in)
    return there


def put(folder: Path, *subjects: str) -> Path:
    """A Maildir with mails of these subjects."""
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for subject in subjects:
        (folder / "cur" / f"{subject.strip('+')}{subject.count('+') or ''}:2,S").write_bytes(
            f"{subject.strip('+')}\n\ntext\n".encode()
        )
    return folder


def bring(context: Context, source: Path) -> dict[str, dict[str, Any]]:
    done = run.bring(context, run.Wanted(ANNA, source), lambda *_: None)
    return {row["folder"]: row for row in done["folders"]}


def test_a_second_import_adds_what_is_new_and_nothing_that_was_deleted_here(
    box: Box, context: Context, tmp_path: Path
) -> None:
    old = put(tmp_path / "old", "one", "two")
    put(old / ".Sent Items", "three")
    box.content["INBOX"].append(b"two\r\n\r\ntext\r\n")
    rows = bring(context, old)
    assert (rows["INBOX"]["added"], rows["INBOX"]["present"], rows["Sent Items"]["added"]) == (1, 1, 1)
    assert box.subjects == {"INBOX": ["one", "two"], "Sent": ["three"]}
    box.content["INBOX"].clear()
    put(old, "four")
    rows = bring(context, old)
    assert (rows["INBOX"]["added"], rows["INBOX"]["before"], rows["INBOX"]["here"]) == (1, 2, 1)
    assert box.subjects == {"INBOX": ["four"], "Sent": ["three"]}


def test_copies_are_counted_and_one_that_was_there_before_answers_for_itself_only(
    box: Box, context: Context, tmp_path: Path
) -> None:
    old = put(tmp_path / "old", "one", "one+")
    bring(context, old)
    put(old, "one++")
    assert bring(context, old)["INBOX"]["added"] == 1
    assert box.subjects == {"INBOX": ["one", "one", "one"]}


def test_an_import_that_was_killed_after_dovecot_had_the_mail_doubles_nothing(
    box: Box, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(tmp_path / "old", "one", "two")
    with monkeypatch.context() as patch:
        patch.setattr(memory.Memory, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            bring(context, old)
    assert bring(context, old)["INBOX"]["present"] == 2
    assert box.subjects == {"INBOX": ["one", "two"]}


def test_of_all_mail_only_what_no_other_folder_has_comes(box: Box, context: Context, tmp_path: Path) -> None:
    done = memory.Memory(tmp_path / "done")
    everything = Part(
        "[Gmail]/All Mail", "Archive", put(tmp_path / "all", "one", "two"), 2, rest=True, ours=False
    )
    inbox = Part("INBOX", "INBOX", put(tmp_path / "inbox", "one"), 1, ours=False)
    run._add(context, ANNA, "cid", [everything, inbox], done, lambda *_: None)
    assert box.subjects == {"INBOX": ["one"], "Archive": ["two"]}
    assert (everything.counts["elsewhere"], everything.counts["added"]) == (1, 1)


def test_what_does_not_fit_is_refused_with_the_largest_mail_and_nothing_is_added(
    box: Box, context: Context, tmp_path: Path
) -> None:
    old = put(tmp_path / "old", "one")
    (put(old / ".Films") / "cur" / "2:2,").write_bytes(b"big\n\n" + b"x" * 1_000_000)
    with pytest.raises(Refused, match=r"977K come in.*977K, in Films"):
        bring(context, old)
    assert box.subjects == {"INBOX": []}


def test_a_mail_that_cannot_be_read_back_is_told_and_tried_again(
    box: Box, context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(tmp_path / "old", "one")
    with monkeypatch.context() as patch:
        patch.setattr(merge, "bring_in", lambda *_: None)
        with pytest.raises(Refused, match="1 mails were imported and cannot be read back"):
            bring(context, old)
    assert bring(context, old)["INBOX"]["added"] == 1


def test_a_folder_that_no_name_can_hold_is_told_by_its_name(
    box: Box, context: Context, tmp_path: Path
) -> None:
    old = put(tmp_path / "old", "one")
    put(old / "a" / ("b" * 200) / ("c" * 60), "two")
    done = run.bring(context, run.Wanted(ANNA, old), lambda *_: None)
    assert not done["ok"] and box.subjects == {"INBOX": ["one"]}
    assert (
        done["problems"][0]["value"].startswith("a/bbb")
        and "its 1 mails were left out" in done["problems"][0]["wrong"]
    )


def test_who_fails_does_not_stop_the_others(cli: Cli, box: Box, tmp_path: Path) -> None:
    put(tmp_path / "old", "one")
    people = tmp_path / "people.csv"
    people.write_text(f"address,source\nbob@example.com,{tmp_path}/none\n{ANNA},{tmp_path}/old\n")
    people.chmod(0o600)
    shown = cli("import", "people", people, "--json")
    document = json.loads(shown.stdout)
    assert shown.exit_code == 1 and [row["ok"] for row in document["people"]] == [False, True]
    assert document["people"][0]["problems"][0]["wrong"] == "is not there"
    shown = cli("import", "people", people)
    assert "source" in shown.output and "is not there" in " ".join(shown.output.split())
    again = cli("import", "mail", ANNA, tmp_path / "old", "--json")
    assert json.loads(again.stdout)["people"][0]["folders"][0]["before"] == 1


def test_an_import_that_has_ended_keeps_nothing(cli: Cli, box: Box, hdd: Path, tmp_path: Path) -> None:
    cli("import", "mail", ANNA, put(tmp_path / "old", "one"))
    assert cli("import", "end").exit_code == 2 and cli("import", "end", "eve@example.com").exit_code == 1
    assert json.loads(cli("import", "end", "--all", "--json").stdout)["ended"] == [ANNA]
    assert list((hdd / ".mailctl" / "import").iterdir()) == []


class Remote:
    """The server elsewhere, as imaplib shows it."""

    capabilities: tuple[str, ...] = ("IMAP4REV1", "AUTH=PLAIN")
    # What it says only to whoever has logged in.
    inside: tuple[str, ...] = ("SPECIAL-USE",)
    listed = (
        rb'(\HasNoChildren) "." INBOX',
        rb'(\NoSelect) "." "x"',
        rb'() "." Sent',
        (rb'() "." {4}', rb"a\"b"),
    )

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Remote:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def authenticate(self, _mechanism: str, answer: Callable[[bytes], bytes]) -> None:
        if answer(b"") != b"\0anna\0p\xc3\xa4ss":
            raise imaplib.IMAP4.error(b"[AUTHENTICATIONFAILED] no")

    def capability(self) -> tuple[str, list[bytes]]:
        return "OK", [" ".join((*self.capabilities, *self.inside)).encode()]

    def list(self, what: str, _pattern: str) -> tuple[str, list[Any]]:
        return "OK", [rb'(\Sent) "." Sent'] if "SPECIAL" in what else list(self.listed)

    def status(self, name: str, what: str) -> tuple[str, list[bytes]]:
        size = f" SIZE {len(name) * MB}" if "SIZE" in what else ""
        return "OK", [f"{name} (MESSAGES {len(name)}{size})".encode()]

    def select(self, name: str, readonly: bool) -> tuple[str, list[bytes]]:
        self.selected = name if readonly else ""
        return "OK", [b""]

    def fetch(self, _which: str, _what: str) -> tuple[str, list[bytes]]:
        return "OK", [f"{n + 1} (RFC822.SIZE {MB})".encode() for n in range(len(self.selected))]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> imap.Server:
    monkeypatch.setattr(imaplib, "IMAP4_SSL", Remote)
    monkeypatch.setattr(ssl, "create_default_context", lambda **_: None)
    (tmp_path / "ca.crt").write_text("CA")
    return imap.Server.of("imaps://old.example", "anna", "päss", tmp_path / "ca.crt")


@pytest.mark.parametrize("extension", ["STATUS=SIZE", "NONE"])
def test_folders_there_are_listed_with_their_use_counted_and_measured(
    server: imap.Server, monkeypatch: pytest.MonkeyPatch, extension: str
) -> None:
    monkeypatch.setattr(Remote, "inside", (*Remote.inside, extension))
    assert imap.look(server) == [
        imap.Listed("INBOX", "", 7, 7 * MB),
        imap.Listed("Sent", "sent", 6, 6 * MB),
        imap.Listed('a\\"b', "", 8, 8 * MB),
    ]


def test_what_is_lacking_of_the_mailbox_there_must_leave_the_reserve_free_or_nothing_is_fetched(
    server: imap.Server, box: Box, docker: FakeDocker, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, room = run.Wanted(ANNA, server), 10 << 30
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    context.environ = {"RESERVE_GIB": str((room - 20.5 * MB) / 2**30)}
    with pytest.raises(Refused, match=r"needs 21M in .*; 10G are free, of which 10G stay free"):
        run.bring(context, wanted, lambda *_: None)
    assert not docker.calls_with("run")
    # One mail of 1 MB is here already, from an earlier time.
    into = memory.fetched(context, ANNA, "anna old.example") / "mail"
    (put(into) / "cur" / f"1.import,W={MB}:2,").write_bytes(b"")
    with pytest.raises(Refused, match="quota: is too small"):
        run.bring(context, wanted, lambda *_: None)
    assert docker.calls_with("run")


def test_a_source_with_more_than_it_said_is_stopped_at_the_reserve_and_leaves_nothing(
    box: Box, context: Context, hdd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old.mbox"
    old.write_bytes(b"From a\nSubject: 1\n\ntext\n\n" * 3)
    free = iter([4 << 30, 3 << 30])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=next(free, 1 << 30)))
    with pytest.raises(Refused, match="too full while mail was fetched"):
        run.bring(context, run.Wanted(ANNA, old), lambda *_: None)
    assert box.subjects == {"INBOX": []} and not list(hdd.glob(".mailctl/import/*/written"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4 << 30))
    assert len(run.bring(context, run.Wanted(ANNA, old), lambda *_: None)["folders"]) == 1


def test_a_maildir_that_is_copied_needs_room_before_anything_is_added(
    box: Box, context: Context, tmp_path: Path
) -> None:
    old = put(tmp_path / "old", "one")
    context.environ = {"RESERVE_GIB": "1000000"}
    with pytest.raises(Refused, match=r"needs 5K in .*977T stay free"):
        bring(context, old)
    assert box.subjects == {"INBOX": []}


def test_a_wrong_password_is_told_without_the_password(server: imap.Server) -> None:
    wrong = imap.Server.of("imaps://old.example", "anna", "secret words", server.ca)
    with pytest.raises(Refused, match="was refused") as refusal:
        imap.look(wrong)
    assert "secret words" not in repr(refusal.value.problems) + repr(wrong)


@pytest.mark.parametrize(
    ("password", "written"),
    [("plain", '"plain"'), ('a"b\\c', '"a\\"b\\\\c"'), ("50% %{x}", '"50% %%{x}"')],
)
def test_a_password_is_written_so_that_dovecot_reads_the_same(
    password: str, written: str, tmp_path: Path
) -> None:
    server = imap.Server("old.example", 143, True, "anna", password, tmp_path)
    assert f"imapc_password = {written}\n" in server.settings and "imapc_ssl = starttls\n" in server.settings


def test_mail_is_fetched_in_a_container_of_its_own_that_is_told_the_password_in_private(
    server: imap.Server, engine: FakeEngine, docker: FakeDocker, context: Context, hdd: Path
) -> None:
    engine.containers = [container("dovecot")]
    into = memory.fetched(context, ANNA, "x")
    put(into / "mail", "one")
    put(into / "mail" / ".ex%2eample", "two")
    folders = [
        imap.Listed("INBOX", "", 1, MB),
        imap.Listed("ex.ample", "", 1, MB),
        imap.Listed("Starred", "flagged", 5, MB),
    ]
    parts = imap.fetch(context, server, into, folders, lambda *_: None)
    assert [(part.name, part.to, len(list(part.mails()))) for part in parts] == [
        ("INBOX", "INBOX", 1),
        ("ex.ample", "ex_ample", 1),
    ]
    (call,) = docker.calls_with("run")
    words = call["arguments"]
    assert "päss" not in json.dumps(call, ensure_ascii=False) and words[-2:] == ["-x", "Starred"]
    assert words[words.index("--network") + 1] == "shop-mail_egress" and "shop-mail_data" not in words
    assert [word for word in words if "source=" in word] == [f"type=bind,source={into},target=/import"]


def test_what_the_container_says_is_told(
    server: imap.Server, engine: FakeEngine, docker: FakeDocker, context: Context, hdd: Path
) -> None:
    engine.containers = [container("dovecot")]
    docker.answer("run", stderr="Error: no route", code=imap.AGAIN)
    with pytest.raises(Refused, match="no route"):
        imap.fetch(context, server, memory.fetched(context, ANNA, "x"), [], lambda *_: None)
    assert len(docker.calls_with("run")) == imap.ROUNDS


def test_a_fetch_that_was_killed_while_it_made_the_folders_begins_anew(
    server: imap.Server, context: Context, hdd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    into = memory.fetched(context, ANNA, "x")
    put(into / "mail")

    def run_it(*_: object) -> tuple[int, bytes]:
        made = (into / "mail").exists()
        return (65, b"mailbox_delete failed: INBOX can't be deleted.") if made else (0, b"")

    monkeypatch.setattr(imap, "_run", run_it)
    assert imap.fetch(context, server, into, [], lambda *_: None) == []


def test_an_import_waits_for_one_that_outlived_its_mailctl(docker: FakeDocker) -> None:
    docker.answer("top", "PID COMMAND\n7 doveadm import maildir:/srv/vmail/.mailctl/restore/mail\n")
    merge.IMPORT_SECONDS, kept = 0, merge.IMPORT_SECONDS
    try:
        with pytest.raises(Refused, match="does not come to its end"):
            merge.settle("cid")
    finally:
        merge.IMPORT_SECONDS = kept
    docker.answer("top", "PID COMMAND\n7 dovecot\n")
    merge.settle("cid")
    assert os.environ["PATH"]
