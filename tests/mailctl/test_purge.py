"""`mailctl purge`: what usermgmt names goes, and nothing else, whatever it says."""

import json
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container


@pytest.fixture
def mail(repo: Path, engine: FakeEngine) -> Path:
    """The folder of the mailboxes, with two of them."""
    engine.containers = [container("usermgmt")]
    root = repo.parent / "hdd" / "mailboxes"
    for name in ("anna", "anna+2"):
        (root / "example.org" / name / "mail" / "cur").mkdir(parents=True)
    with (repo / ".env").open("a") as env:
        env.write(f"HDD_PATH={root.parent}\n")
    return root


def left(mail: Path) -> list[str]:
    return sorted(path.relative_to(mail).as_posix() for path in mail.glob("*/*"))


def test_the_folders_that_are_due_go_and_those_that_went_before_are_no_error(
    cli: Cli, mail: Path, docker: FakeDocker
) -> None:
    docker.answer("purge", json.dumps({"accounts": [], "homes": ["example.org/anna", "gone.example/bert"]}))
    done = cli("purge", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["homes"] == ["example.org/anna"]
    assert left(mail) == ["example.org/anna+2"]
    assert json.loads(cli("purge", "--json").stdout)["homes"] == []


@pytest.mark.parametrize(
    "home",
    ["example.org", "example.org/", "../daily", "example.org/..", "/etc/x", "a/b/c", "", "./anna", 7],
)
def test_a_name_that_is_no_folder_of_a_mailbox_stops_it_before_anything_is_removed(
    cli: Cli, mail: Path, docker: FakeDocker, home: object
) -> None:
    docker.answer("purge", json.dumps({"homes": ["example.org/anna", home]}))
    done = cli("purge")
    assert done.exit_code == 1 and "nothing was removed" in " ".join(done.output.split())
    assert left(mail) == ["example.org/anna", "example.org/anna+2"]


@pytest.mark.parametrize("link", ["linked", "example.org/linked"])
def test_nothing_is_reached_through_a_link(cli: Cli, mail: Path, docker: FakeDocker, link: str) -> None:
    path = mail / link
    path.symlink_to(mail / "example.org" if path.parent == mail else mail / "example.org" / "anna")
    homes = ["linked/anna"] if path.parent == mail else ["example.org/linked"]
    docker.answer("purge", json.dumps({"homes": homes}))
    assert json.loads(cli("purge", "--json").stdout)["homes"] == []
    assert (mail / "example.org" / "anna" / "mail" / "cur").is_dir()


@pytest.mark.parametrize("said", ["", "Traceback", "{}", "[]"])
def test_a_list_that_cannot_be_read_removes_nothing(
    cli: Cli, mail: Path, docker: FakeDocker, said: str
) -> None:
    docker.answer("purge", said)
    assert cli("purge").exit_code == 1
    assert len(left(mail)) == 2
