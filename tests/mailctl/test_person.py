"""`mailctl export` and `erase`: what is asked and removed, in which order, and what is said to stay.

That the database answers so, and that nothing is left in it, is tried by tests/stack/test_person.py.
"""

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest
import snapshots
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

ANNA = "anna@example.org"
BOX = {"id": 7, "email": ANNA, "deleted_at": None, "created_at": "2026-01-02 03:04:05.000000"}
ALIAS = {"id": 5, "source": "info@example.org", "destination": ANNA}
MAIL = b"Subject: one\r\n\r\nFrom here\r\n"


def lines(*rows: tuple[str, object]) -> str:
    """What the database answers: a table and a row on each line."""
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def server(repo: Path, engine: FakeEngine, docker: FakeDocker) -> Path:
    """A server with one person; the folder of its mailboxes."""
    engine.containers = [
        container("mariadb"),
        container("usermgmt"),
        container("dovecot", log=f"lmtp({ANNA}): saved\nlmtp(bob@example.org): saved\n"),
    ]
    root = repo.parent / "hdd" / "mailboxes"
    for name in ("anna", "bob"):
        for folder in ("cur", "new", "tmp"):
            (root / "example.org" / name / "mail" / folder).mkdir(parents=True)
        (root / "example.org" / name / "mail" / "cur" / "1.host:2,S").write_bytes(MAIL)
        (root / "example.org" / name / "mail" / "fts-flatcurve").mkdir()
        (root / "example.org" / name / "mail" / "fts-flatcurve" / "words").write_text(
            "no data of a person's own"
        )
    with (repo / ".env").open("a") as env:
        env.write(f"HDD_PATH={root.parent}\n")
    docker.answer("mailserver", lines(("mailboxes", BOX), ("aliases", ALIAS), ("homes", "example.org/anna")))
    docker.answer("roundcube", lines(("users", {"user_id": 3, "username": ANNA})))
    docker.answer("usermgmt", json.dumps({"status": 204, "body": ""}))
    docker.answer("purge", json.dumps({"accounts": [], "homes": []}))
    return root


def snapshot(root: Path, name: str, *addresses: str) -> None:
    """One on the disk that has these mailboxes."""
    made = snapshots.make(root.parent, name)
    document = json.loads((made.path / "manifest.json").read_text())
    box = {"messages": 1, "bytes": 16, "folders": {"INBOX": 1}}
    document["components"]["mail"]["mailboxes"] = dict.fromkeys(addresses, box)
    (made.path / "manifest.json").write_text(json.dumps(document))


def calls(docker: FakeDocker) -> list[str]:
    """What was asked of usermgmt's API, and what of the database, in order."""
    found = []
    for call in docker.calls:
        words = call["arguments"]
        if "api" in words:
            found.append(" ".join(words[words.index("api") + 1 :]))
        elif "--batch" in words and "DELETE" in call["stdin"]:
            found.append(f"rows of {words[-1]}")
    return found


def test_an_export_holds_mail_account_and_log_lines_of_this_person_alone(
    cli: Cli, server: Path, tmp_path: Path
) -> None:
    done = cli("export", ANNA, "--out", tmp_path / "anna.tar", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["mails"] == 1
    with tarfile.open(tmp_path / "anna.tar") as archive:
        archive.extractall(tmp_path, filter="data")
    top = tmp_path / ANNA
    assert (top / "mail/cur/1.host:2,S").read_bytes() == MAIL
    assert json.loads((top / "account.json").read_text())["aliases"] == [ALIAS]
    assert "source: info@example.org" in (top / "account.txt").read_text()
    log = (top / "log-lines.txt").read_text()
    assert ANNA in log and "bob" not in log


def test_a_mail_that_is_read_while_it_is_exported_is_in_it_once(
    cli: Cli, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = server / "example.org/anna/mail"
    (folder / "new/2.host").write_bytes(b"Subject: two\r\n\r\n")
    real = os.stat

    def moved(path: object, **options: object) -> os.stat_result:
        if path == "2.host" and (folder / "new/2.host").exists() and moving:
            (folder / "new/2.host").rename(folder / "cur/2.host:2,S")
        return real(path, **options)  # type: ignore[arg-type, call-overload, no-any-return]

    moving: list[bool] = []
    monkeypatch.setattr("mailctl.person.archive.os.stat", moved)
    monkeypatch.setattr("mailctl.person.archive.room", lambda *_: moving.append(True))
    assert cli("export", ANNA, "--out", tmp_path / "anna.tar").exit_code == 0
    with tarfile.open(tmp_path / "anna.tar") as archive:
        found = [name for name in archive.getnames() if "2.host" in name]
    assert found == [f"{ANNA}/mail/cur/2.host:2,S"]


def test_an_export_reaches_nothing_through_a_link(cli: Cli, server: Path, tmp_path: Path) -> None:
    (server / "example.org/anna/mail/.Secret").symlink_to(server / "example.org/bob/mail")
    (server / "example.org/anna/mail/cur/3.host").symlink_to("/etc/passwd")
    assert cli("export", ANNA, "--out", tmp_path / "anna.tar").exit_code == 0
    with tarfile.open(tmp_path / "anna.tar") as archive:
        links = [member.name for member in archive if member.issym()]
        assert len(links) == 2 and not [name for name in archive.getnames() if "Secret/" in name]


def test_an_export_never_replaces_a_file(cli: Cli, server: Path, tmp_path: Path) -> None:
    (tmp_path / "anna.tar").write_text("mine")
    assert cli("export", ANNA, "--out", tmp_path / "anna.tar").exit_code == 1
    assert (tmp_path / "anna.tar").read_text() == "mine"


def test_an_export_that_would_fill_the_disk_is_refused_before_it_begins(
    cli: Cli, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailctl.person.archive.RESERVE", 1.0)
    done = cli("export", ANNA, "--out", tmp_path / "anna.tar")
    assert done.exit_code == 1 and "are free" in done.stderr
    assert not list(tmp_path.glob("anna*"))


@pytest.mark.parametrize("words", ["export", "erase"])
def test_an_address_that_nobody_has_is_named(cli: Cli, server: Path, docker: FakeDocker, words: str) -> None:
    for database in ("mailserver", "roundcube"):
        docker.answer(database)
    done = cli(words, "nobody@example.org")
    assert done.exit_code == 1 and "nothing is known about this address" in " ".join(done.stderr.split())


def test_an_address_never_ends_a_string_of_sql(cli: Cli, server: Path, docker: FakeDocker) -> None:
    cli("export", "x'; DROP TABLE mailboxes; --@example.org")
    assert not [call for call in docker.calls if "DROP TABLE" in (call["stdin"] or "")]


def test_nothing_is_erased_without_a_yes(cli: Cli, server: Path, docker: FakeDocker) -> None:
    done = cli("erase", ANNA)
    assert done.exit_code == 2 and "info@example.org to anna@example.org" in done.stdout
    assert calls(docker) == [] and (server / "example.org/anna").is_dir()


def test_an_erasure_stops_the_mail_first_and_takes_the_rows_last(
    cli: Cli, server: Path, docker: FakeDocker
) -> None:
    done = cli("erase", ANNA, "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert calls(docker) == [
        "DELETE /aliases/5",
        "DELETE /mailboxes/7",
        "rows of roundcube",
        "rows of mailserver",
    ]
    assert [path.name for path in (server / "example.org").iterdir()] == ["bob"]


def test_an_erasure_names_the_snapshots_that_still_hold_the_mail_and_when_they_go(
    cli: Cli, server: Path, repo: Path
) -> None:
    snapshot(server, "daily/2026-11-26", ANNA)
    snapshot(server, "weekly/2026-11-22", ANNA, "bob@example.org")
    snapshot(server, "daily/2026-11-27", "bob@example.org")
    said = json.loads(cli("erase", ANNA, "--yes", "--json").stdout)["stays"]
    dated = {each["what"]: each["until"] for each in said if "/" in each["what"]}
    assert dated == {"weekly/2026-11-22": "about 2026-12-20", "daily/2026-11-26": "about 2026-12-03"}


def test_an_erasure_says_that_the_copies_in_s3_stay_until_their_lock_ends(
    cli: Cli, server: Path, repo: Path
) -> None:
    (repo / "answers.yml").write_text('object_lock_days: "36500"\n')
    with (repo / ".env").open("a") as env:
        env.write("BACKUP_BUCKET=some-bucket\n")
    said = json.loads(cli("erase", ANNA, "--yes", "--json").stdout)["stays"]
    (copies,) = [each for each in said if "S3" in each["what"]]
    assert copies["until"].startswith("at least 212") and "Object Lock" in copies["until"]


def test_an_erasure_names_the_account_of_an_administrator_which_stays(
    cli: Cli, server: Path, docker: FakeDocker
) -> None:
    docker.answer("mailserver", lines(("mailboxes", BOX), ("admins", {"email": ANNA})))
    said = json.loads(cli("erase", ANNA, "--yes", "--json").stdout)["stays"]
    assert [each["until"] for each in said if "administrator" in each["what"]]


def test_the_list_of_the_erased_has_no_address(cli: Cli, server: Path) -> None:
    cli("erase", ANNA, "--yes")
    kept = (server.parent / ".mailctl/erased.json").read_text()
    assert hashlib.sha256(ANNA.encode()).hexdigest() in kept and "anna" not in kept


def test_whom_a_restore_brings_back_the_nightly_purge_erases_again(
    cli: Cli, server: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("erase", ANNA, "--yes")
    (server / "example.org/anna/mail/cur").mkdir(parents=True)
    before = len(calls(docker))
    monkeypatch.setattr("mailctl.person.rows.accounts", lambda _context: [(ANNA, BOX["created_at"])])
    done = cli("purge", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["erased_again"] == [ANNA]
    assert calls(docker)[before:][-2:] == ["rows of roundcube", "rows of mailserver"]
    assert not (server / "example.org/anna").exists()


def test_a_new_person_with_an_erased_address_is_left_alone(
    cli: Cli, server: Path, docker: FakeDocker
) -> None:
    cli("erase", ANNA, "--yes")
    before = len(calls(docker))
    docker.answer("mailserver", lines((ANNA, "2126-01-01 00:00:00.000000")))
    assert json.loads(cli("purge", "--json").stdout)["erased_again"] == []
    assert calls(docker)[before:] == []
