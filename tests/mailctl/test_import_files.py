"""What an import reads: mbox files and Gmail's labels, Maildirs, names of folders, the list of people."""

import mailbox
import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailctl.backup.restore.stored import utf7
from mailctl.core.errors import Misuse, Refused
from mailctl.importing import maildir, mbox, memory, people
from mailctl.importing.names import from_utf7, place
from mailctl.importing.part import Part

TAKEOUT = b"""From 1234567890@xxx Mon Apr 07 14:31:02 +0000 2025
X-GM-THRID: 1
X-Gmail-Labels: =?UTF-8?Q?Inbox,Unread,Proj/=C3=9Cbung,?=
 =?UTF-8?Q?Category_Updates?=
Subject: one

>From me, and >>From nobody
>>From us

From the start of this line no mail begins
bye

From 2@xxx Sat Mar 29 14:00:00 +0000 2025
X-Gmail-Labels: Sent,Opened,Starred,"Culture, art"
Subject: two

x

From 3@xxx Sat Mar 29 15:00:00 +0000 2025
X-Gmail-Labels: Spam,Inbox
Subject: three


"""
#: Lines of a text, without those that an mbox has to quote in a way of its own.
TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.just("\n"), max_size=200)


def written(folder: Path, content: bytes, name: str = "old.mbox") -> dict[str, list[tuple[str, str, bytes]]]:
    """What an mbox becomes: by folder the date, the flags and the content of each mail."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    (folder / "into").mkdir()
    parts = mbox.write(folder / name, folder / "into", lambda *_: None)
    return {
        from_utf7(part.to): [
            (f"{mail.received}", "".join(sorted(flag[1] for flag in mail.flags)), mail.path.read_bytes())
            for mail in part.mails()
        ]
        for part in parts
    }


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_takeout_is_put_into_folders_by_its_labels(tmp_path: Path, end: bytes) -> None:
    found = written(tmp_path, TAKEOUT.replace(b"\n", end))
    text = b"From me, and >>From nobody\n>From us\n\nFrom the start of this line no mail begins\nbye\n"
    one = ("1744036262", "", b"Subject: one\n\n" + text)
    assert found == {
        "INBOX": [one],
        "Proj/Übung": [one],
        "Sent": [("1743256800", "FS", b"Subject: two\n\nx\n")],
        "Culture, art": [("1743256800", "FS", b"Subject: two\n\nx\n")],
        "Junk": [("1743260400", "S", b"Subject: three\n\n")],
    }


@given(st.lists(st.tuples(TEXTS, st.sets(st.sampled_from("RFAD"))), min_size=1, max_size=4))
def test_every_mail_that_a_program_wrote_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, mails: list[tuple[str, set[str]]]
) -> None:
    folder = tmp_path_factory.mktemp("mbox")
    box = mailbox.mbox(folder / "made")
    for text, flags in mails:
        mail = mailbox.mboxMessage(EmailMessage())
        mail["Subject"] = "x"
        # The module quotes no ">From ", which is why none is in these texts.
        mail.set_payload(re.sub(r"(?m)^>+From ", "", text))
        mail.set_flags("".join(flags))
        box.add(mail)
    box.close()
    letters = {"R": "S", "F": "F", "A": "A", "D": "D"}
    wanted = sorted("".join(sorted({letters[f] for f in flags})) for _, flags in mails)
    found = written(folder, (folder / "made").read_bytes())["old"]
    assert sorted(flags for _, flags, _ in found) == wanted
    bodies = sorted(content.partition(b"\n\n")[2].rstrip(b"\n") for _, _, content in found)
    assert bodies == sorted(re.sub(r"(?m)^>+From ", "", text).encode().rstrip(b"\n") for text, _ in mails)


def test_thunderbird_s_flags_count_and_what_it_deleted_stays_out(tmp_path: Path) -> None:
    rows = (("0005", "read"), ("0009", "deleted"), ("0000", "new"))
    text = "".join(
        f"From - Sat Mar 29 14:00:00 2025\nX-Mozilla-Status: {bits}\nX-Mozilla-Status2: 00000000\n"
        f"X-Keywords: blue\nSubject: {subject}\n\nx\n\n"
        for bits, subject in rows
    )
    found = written(tmp_path, text.encode(), "Work.sbd/Old Plans")
    assert sorted((flags, content[:14]) for _, flags, content in found["Old Plans"]) == [
        ("FSl", b"Subject: read\n"),
        ("l", b"Subject: new\n\n"),
    ]


def test_a_folder_of_files_keeps_its_levels_and_what_is_no_mbox_is_no_mail(tmp_path: Path) -> None:
    one = b"From - Sat Mar 29 14:00:00 2025\nSubject: x\n\n"
    for name in ("Inbox", "Work.sbd/2026.q1", "Plans.mbox/mbox"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(one)
    (tmp_path / "Inbox.msf").write_text("// an index")
    into = tmp_path.with_name("into")
    into.mkdir()
    parts = mbox.write(tmp_path, into, lambda *_: None)
    assert sorted((part.to, part.renamed) for part in parts) == [
        ("INBOX", False),
        ("Plans", False),
        ("Work/2026_q1", True),
    ]
    with pytest.raises(Refused, match="holds no mail that can be read"):
        mbox.write(tmp_path / "Inbox.msf", into, lambda *_: None)


def test_a_maildir_of_either_layout_is_read_without_the_sizes_in_its_names(tmp_path: Path) -> None:
    for name in ("", ".INBOX.Sent Items", "Work/&ZeVnLIqe-"):
        for part in ("cur", "new", "tmp"):
            (tmp_path / name / part).mkdir(parents=True)
    (tmp_path / "cur" / "1.one,S=5,W=999:2,S").write_bytes(b"Subject: x\n\n")
    (tmp_path / "cur" / "link").symlink_to("/etc/hostname")
    parts = {part.name: part for part in maildir.parts(tmp_path)}
    assert {name: part.to for name, part in parts.items()} == {
        "INBOX": "INBOX",
        "INBOX/Sent Items": "Sent",
        "Work/日本語": "Work/&ZeVnLIqe-",
    }
    (mail,) = parts["INBOX"].mails()
    assert parts["INBOX"].file_name(mail) == "cur/1.one:2,S" and parts["INBOX"].size(mail) == 14


@pytest.mark.parametrize(
    ("name", "role", "here", "renamed"),
    [
        ("inbox", "", "INBOX", False),
        ("INBOX/Sent", "", "Sent", False),
        ("INBOX/a/b", "", "a/b", False),
        ("[Gmail]/Alle Nachrichten", "all", "Archive", False),
        ("[Gmail]/Papierkorb", "trash", "Trash", False),
        ("[Google Mail]/Drafts", "", "Drafts", False),
        ("Deleted Items", "", "Trash", False),
        ("ex.ample//~x", "", "ex_ample/_/_x", True),
        ("日本語" * 50, "", "", True),
    ],
)
def test_folders_go_where_a_mail_program_looks_for_them(
    name: str, role: str, here: str, renamed: bool
) -> None:
    found = place(name, role)
    assert found.name == here and (found.renamed == renamed or not here)


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_a_name_survives_the_way_imap_writes_it(name: str) -> None:
    assert from_utf7(utf7(name)) == name
    assert not re.search(r"(^|/)(/|$)|[.\0\r\n]", place(name).name or "x")


def test_a_list_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("address,source\n")
    path.chmod(0o640)
    with pytest.raises(Refused, match="others on this host can read it"):
        people.read(path, None)


def test_every_wrong_line_of_the_list_is_named_and_no_password_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(
        "address;source;login;password\nanna@example.org;imap://old.example;anna;secret 1\nbob;/srv/bob;;\n"
        "eve@example.org;https://x;e;secret 2\nkim@example.org;imaps://u:secret 3@old.example;k;p\n"
        "joe@example.org;imaps://old.example;joe;\n"
    )
    path.chmod(0o600)
    ca = tmp_path / "ca.crt"
    ca.touch()
    with pytest.raises(Refused) as refusal:
        people.read(path, ca)
    assert [problem.field for problem in refusal.value.problems] == [
        "line 3, address",
        "line 4, source",
        "line 5, source",
        "line 6, login, password",
    ]
    assert "secret" not in str([problem.as_dict() for problem in refusal.value.problems])
    path.write_text("address,source,login,password\nanna@example.org,imaps://old.example:1993,anna,p w\n")
    (one,) = people.read(path, ca)
    assert (one.source.host, one.source.port, one.source.starttls) == ("old.example", 1993, False)  # type: ignore[union-attr]
    assert "p w" not in repr(one)


def test_a_source_without_a_known_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Misuse, match="there is no such file"):
        people.wanted("a@b.example", "imaps://old.example", "a", "b", tmp_path / "none")


def test_what_was_imported_is_remembered_up_to_where_the_power_went(tmp_path: Path) -> None:
    path = tmp_path / "done"
    memory.Memory(path).add([("aa", "x/1"), ("aa", "y/1")])
    with path.open("a") as file:
        file.write('["bb", "x/')
    again = memory.Memory(path)
    again.add([("cc", "x/3")])
    assert dict(memory.Memory(path).done) == {"aa": 2, "cc": 1}
    assert Part("x", "x", tmp_path, 0).report()["there"] == 0
