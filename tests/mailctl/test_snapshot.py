"""A snapshot is read, and every way in which its files can differ from what was saved is told."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import MAILS, OTHERS, make

from mailctl.core import snapshot_manifest as manifest
from mailctl.core import snapshots as snapshot
from mailctl.core.errors import Refused

MAIL = "mail/example.com/ada/mail/cur/1.a.host:2,S"


def told(found: snapshot.Snapshot, *components: str) -> dict[str, str]:
    problems = snapshot.verify(found, components or snapshot.COMPONENTS)
    return {problem.field.removeprefix(f"{found.id}/"): problem.wrong for problem in problems}


def test_an_untouched_snapshot_is_exactly_right_and_every_byte_was_looked_at(tmp_path: Path) -> None:
    found, seen = make(tmp_path), []
    assert snapshot.verify(found, snapshot.COMPONENTS, lambda files, size: seen.append((files, size))) == []
    total = sum(component["bytes"] for component in found.manifest.components.values())
    assert (sum(files for files, _ in seen), sum(size for _, size in seen)) == (
        len(MAILS) + len(OTHERS),
        total,
    )
    assert found.good and found.mailboxes["ada@example.com"]["folders"] == {"INBOX": 1, "Sent": 1}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def swap(path: Path) -> None:
    """The file of another day's snapshot, with its own time."""
    other = make(path.parents[1 if path.parent.name == "mysql" else 5].parents[0] / "x", "daily/2026-11-25")
    (other.path / "mysql/mailserver.sql.gz").replace(path)


DAMAGES: tuple[tuple[str, str, Callable[[Path], object], str], ...] = (
    ("a bit flipped in a mail", MAIL, flip, "its checksum differs"),
    ("a mail cut", MAIL, lambda path: os.truncate(path, 3), "its checksum differs"),
    ("a mail missing", MAIL, Path.unlink, "is missing"),
    ("a mail added", f"{MAIL}x", lambda path: path.write_bytes(b"new"), "was added later"),
    (
        "a link in place of a mail",
        MAIL,
        lambda p: (p.unlink(), p.symlink_to("/etc/passwd")),
        "cannot be read",
    ),
    ("the list of mails changed", "mail.sha256", flip, "is not the one that the manifest names"),
    ("the list of mails missing", "mail.sha256", Path.unlink, "cannot be read"),
    ("a bit flipped in the dump", "mysql/mailserver.sql.gz", flip, "its checksum differs"),
    ("another snapshot's dump", "mysql/mailserver.sql.gz", swap, "its checksum differs"),
    ("a dump missing", "mysql/mailserver.sql.gz", Path.unlink, "is missing"),
    ("a key file added", "dkim/x.age", lambda path: path.write_bytes(b"new"), "was added later"),
    ("something beside the components", "x.sh", lambda path: path.write_bytes(b"new"), "does not belong"),
)


@pytest.mark.parametrize(("path", "damage", "wrong"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damage_is_found_and_named(
    tmp_path: Path, path: str, damage: Callable[[Path], object], wrong: str
) -> None:
    found = make(tmp_path)
    damage(found.path / path)
    problems = told(found)
    assert list(problems) == [path] and wrong in problems[path]


def test_only_the_chosen_components_are_looked_at(tmp_path: Path) -> None:
    found = make(tmp_path, failed="dkim")
    (found.path / MAIL).unlink()
    assert told(found, "mysql", "config") == {}
    assert told(found, "dkim") == {"dkim": "was not saved: it was broken"}


def test_a_snapshot_of_a_version_that_saved_less_is_still_good(tmp_path: Path) -> None:
    found = make(tmp_path)
    shutil.rmtree(found.path / "learned")
    spoil(lambda d: d["components"].pop("learned"))(found.path)
    old = snapshot.read(found.path)
    assert old.good and snapshot.verify(old) == []


def spoil(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / "manifest.json").read_text())
        change(document)
        (folder / "manifest.json").write_text(json.dumps(document))

    return apply


UNREADABLE: tuple[tuple[str, Callable[[Path], object], str], ...] = (
    ("no manifest", lambda folder: (folder / "manifest.json").unlink(), "there is no manifest.json"),
    ("no JSON", lambda folder: (folder / "manifest.json").write_text("{"), "is not JSON"),
    ("not the schema", spoil(lambda d: d["components"].pop("dkim")), "'dkim' is a required property"),
    (
        "a path that leads out",
        spoil(lambda d: d["components"]["mysql"]["list"].update({"../x": {"sha256": "a" * 64, "size": 1}})),
        "does not match",
    ),
    ("another day's", spoil(lambda d: d.update(id="daily/2026-11-20")), "is that of daily/2026-11-20"),
    ("no folder", lambda folder: folder.rename(folder.with_name("gone")), "there is no such folder"),
)


@pytest.mark.parametrize(("spoiled", "wrong"), [u[1:] for u in UNREADABLE], ids=[u[0] for u in UNREADABLE])
def test_what_is_no_snapshot_is_refused_and_the_others_are_still_found(
    tmp_path: Path, spoiled: Callable[[Path], object], wrong: str
) -> None:
    good, bad = make(tmp_path, "daily/2026-11-25"), make(tmp_path)
    spoiled(bad.path)
    with pytest.raises(Refused, match=wrong):
        snapshot.read(bad.path)
    assert [found.id for found in snapshot.every(tmp_path)] == [good.id]


def test_the_latest_is_the_newest_good_one_and_hidden_folders_do_not_count(tmp_path: Path) -> None:
    make(tmp_path, "weekly/2026-11-22")
    good = make(tmp_path, "daily/2026-11-25")
    make(tmp_path, failed="mysql")
    good.path.rename(make(tmp_path, "daily/2026-11-24").path.with_name(".2026-11-23.partial"))
    assert [f.id for f in snapshot.every(tmp_path)] == [
        *("weekly/2026-11-22", "daily/2026-11-24", "daily/2026-11-26")
    ]
    newest = snapshot.latest(tmp_path)
    assert newest is not None and newest.id == "daily/2026-11-24"


def test_a_snapshot_from_before_the_clock_was_set_back_is_not_the_latest(tmp_path: Path) -> None:
    make(tmp_path, "daily/2199-01-01")
    make(tmp_path, "daily/2026-01-02")
    newest = snapshot.latest(tmp_path)
    assert newest is not None and newest.id == "daily/2026-01-02"


def test_no_disk_means_no_snapshot(tmp_path: Path) -> None:
    assert snapshot.every(tmp_path) == [] and snapshot.latest(tmp_path) is None


@given(st.text(st.characters(blacklist_characters="\0"), min_size=1))
def test_any_file_name_survives_the_list_of_checksums(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    path = tmp_path_factory.mktemp("index") / "mail.sha256"
    name = os.fsdecode(name.encode("utf-8", "surrogatepass"))
    path.write_bytes(manifest.index_line(name, "a" * 64) + manifest.index_line("mail/b", "b" * 64))
    assert list(manifest.read_index(path)) == [(name, "a" * 64), ("mail/b", "b" * 64)]


def test_sha256sum_reads_the_list(tmp_path: Path) -> None:
    mails = {"mail/example.com/ada/mail/.a\\b/cur/1": b"one", "mail/example.com/ada/mail/cur/2\nx": b"two"}
    found = make(tmp_path, mails=mails)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", manifest.MAIL_INDEX],
        cwd=found.path,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout.count(b": OK")) == (0, 2)
    assert told(found) == {}
