"""`mailctl move away | here`: which steps, in which order, and that a run goes on where one stopped.

That the commands which it calls do their work is tried by their own tests.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container

GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main")
# Writes down how it was called, where the fake docker does, and fails while a file has the command's name.
MAILCTL = """import json, os, pathlib, sys
folder = pathlib.Path({folder!r})
call = {{"arguments": ["mailctl", *sys.argv[1:-2]], "stdin": None, "environ": dict(os.environ)}}
with open(folder / "calls.jsonl", "a") as log:
    log.write(json.dumps(call) + "\\n")
if sys.argv[1] == "restore" and (folder / "restored.env").exists():
    pathlib.Path(sys.argv[-1], ".env").write_text((folder / "restored.env").read_text())
sys.exit((folder / sys.argv[1]).exists())
"""


@pytest.fixture
def host(repo: Path, engine: FakeEngine, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host under git, whose mailctl writes down how it is called; the folder of what is carried."""
    root = repo.parent / "hdd"
    (root / "mailboxes").mkdir(parents=True)
    (repo / ".env").write_text(f"HDD_PATH={root}\nCOMPOSE_PROFILES=edge\n")
    (repo / ".gitignore").write_text(".env\n")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "first")):
        subprocess.run([*GIT, *words], cwd=repo, check=True)
    (docker.folder / "mailctl.py").write_text(MAILCTL.format(folder=str(docker.folder)))
    monkeypatch.setattr("mailctl.move.steps.MAILCTL", (sys.executable, str(docker.folder / "mailctl.py")))
    monkeypatch.setattr("mailctl.move.away.UNITS", repo.parent / "no-systemd")
    docker.answer("cp", "the queue")
    names = ("cloudflared", "nginx", "mailserver-api", "postfix", "dovecot", "mariadb")
    engine.containers = [container(name) for name in names]
    return root / ".mailctl/move"


Said = Callable[[], list[str]]


@pytest.fixture
def said(docker: FakeDocker) -> Said:
    """What was called of docker and mailctl, in order, shortened to what matters."""

    def short(words: list[str]) -> str:
        if "stop" in words:
            return " ".join(words[words.index("stop") :])
        known = {"up", "cp", "--entrypoint=tar"} & set(words)
        return next(iter(known), " ".join(words[-2:] if "postqueue" in words else words))

    def calls() -> list[str]:
        wanted = ("mailctl", "stop", "up", "cp", "--entrypoint=tar", "postqueue")
        return [short(call["arguments"]) for call in docker.calls if {*wanted} & {*call["arguments"]}]

    return calls


def test_away_copies_first_closes_then_empties_the_queue_and_copies_again(
    cli: Cli, host: Path, said: Said
) -> None:
    done = cli("move", "away", "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert said() == [
        "mailctl backup",
        "stop cloudflared nginx mailserver-api",
        "postqueue -f",
        "postqueue -j",
        "stop postfix dovecot",
        "cp",
        "mailctl backup",
    ]
    assert (host / "queue.tar").read_text() == "the queue"
    kept = json.loads((host / "move.json").read_text())
    assert kept["stopped"] == json.loads(done.stdout)["stopped"] and len(kept["commit"]) == 40


def test_away_uploads_both_copies_where_there_is_a_bucket(
    cli: Cli, host: Path, said: Said, repo: Path
) -> None:
    with (repo / ".env").open("a") as env:
        env.write("BACKUP_BUCKET=some-bucket\n")
    assert cli("move", "away", "--yes").exit_code == 0
    assert said().count("mailctl sync") == 2 and said()[-1] == "mailctl sync"


def test_away_goes_on_where_it_stopped_and_the_clock_too(
    cli: Cli, host: Path, said: Said, repo: Path, docker: FakeDocker
) -> None:
    docker.answer("cp", code=1)
    assert cli("move", "away", "--yes").exit_code != 0
    stopped = json.loads((host / "move.json").read_text())["stopped"]
    before = len(said())
    docker.answer("cp", "the queue")
    assert cli("move", "away").exit_code == 0
    assert said()[before:] == ["stop postfix dovecot", "cp", "mailctl backup"]
    assert json.loads((host / "move.json").read_text())["stopped"] == stopped


def test_away_closes_nothing_when_the_first_copy_fails(
    cli: Cli, host: Path, said: Said, docker: FakeDocker
) -> None:
    (docker.folder / "backup").touch()
    done = cli("move", "away", "--yes")
    assert done.exit_code == 1 and "it goes on here" in " ".join(done.stderr.split())
    assert said() == ["mailctl backup"]


def test_away_stops_the_timers_of_this_server_and_undo_starts_them(
    cli: Cli, host: Path, repo: Path, docker: FakeDocker
) -> None:
    units = repo.parent / "no-systemd"
    units.mkdir()
    for name in ("shop-mail-backup.timer", "shop-mail-hasten.path", "shop-mail-backup.service", "else.timer"):
        (units / name).touch()
    (docker.folder / "systemctl").symlink_to(docker.folder / "docker")
    cli("move", "away", "--yes")
    cli("move", "away", "--undo")
    asked = [call["arguments"] for call in docker.calls if "--now" in call["arguments"]]
    names = ["shop-mail-backup.timer", "shop-mail-hasten.path"]
    assert asked == [["disable", "--now", *names], ["enable", "--now", *names]]


def test_away_is_refused_with_what_git_does_not_have(cli: Cli, host: Path, said: Said, repo: Path) -> None:
    (repo / "docker-compose.yml").write_text("name: shop-mail\nservices: {x: {}}\n")
    assert "is not committed" in " ".join(cli("move", "away", "--yes").stderr.split())
    assert said() == []


def test_away_is_refused_while_a_service_is_not_healthy(
    cli: Cli, host: Path, said: Said, engine: FakeEngine
) -> None:
    engine.containers[0] = container("rspamd", health="unhealthy")
    assert "not healthy: rspamd" in " ".join(cli("move", "away", "--yes").stderr.split())
    assert said() == []


def test_away_closes_nothing_without_a_yes(cli: Cli, host: Path, said: Said) -> None:
    assert cli("move", "away").exit_code == 2 and said() == []


def test_what_was_closed_is_opened_again_by_undo(cli: Cli, host: Path, said: Said) -> None:
    cli("move", "away", "--yes")
    assert cli("move", "away", "--undo").exit_code == 0
    assert said()[-1] == "up" and not list(host.iterdir())


@pytest.fixture
def empty(cli: Cli, host: Path, repo: Path, engine: FakeEngine, docker: FakeDocker) -> Path:
    """A new host, and what was carried to it."""
    cli("move", "away", "--yes")
    carried = host.rename(repo.parent / "carried")
    (docker.folder / "calls.jsonl").unlink()
    for each in engine.containers:
        each["State"]["Status"] = "created"
    return carried


def test_here_tries_everything_before_the_tunnel_leads_to_it(cli: Cli, empty: Path, said: Said) -> None:
    done = cli(
        "move",
        "here",
        "--from",
        "/x/daily/2026-11-28",
        "--identity",
        "/run/key",
        "--carried",
        empty,
        "--json",
    )
    assert done.exit_code == 0, done.output
    assert said() == [
        "mailctl restore --from /x/daily/2026-11-28 --identity /run/key --yes",
        "stop postfix",
        "--entrypoint=tar",
        "up",
        "mailctl canaries",
        "up",
    ]
    assert 0 < json.loads(done.stdout)["seconds"] < 300


def test_the_tunnel_is_left_out_until_the_canaries_are_well(
    cli: Cli, empty: Path, docker: FakeDocker
) -> None:
    cli("move", "here", "--from", "s3://x/latest", "--carried", empty)
    assert [
        call["environ"]["COMPOSE_PROFILES"]
        for call in docker.calls
        if {"restore", "up"} & {*call["arguments"]}
    ] == ["none", "none", "edge"]


def test_the_tunnel_starts_by_the_settings_that_came_with_the_copy(
    cli: Cli, empty: Path, docker: FakeDocker, repo: Path
) -> None:
    settings = (repo / ".env").read_text()
    (docker.folder / "restored.env").write_text(settings)
    (repo / ".env").write_text(settings.replace("COMPOSE_PROFILES=edge", "COMPOSE_PROFILES="))
    cli("move", "here", "--from", "s3://x/latest", "--carried", empty)
    assert docker.calls_with("up")[-1]["environ"]["COMPOSE_PROFILES"] == "edge"


def test_with_a_canary_that_fails_the_tunnel_stays_where_it_was(
    cli: Cli, empty: Path, said: Said, docker: FakeDocker
) -> None:
    (docker.folder / "canaries").touch()
    assert cli("move", "here", "--from", "s3://x/latest", "--carried", empty).exit_code == 1
    assert said()[-1] == "mailctl canaries" and said().count("up") == 1
    (docker.folder / "canaries").unlink()
    assert cli("move", "here", "--from", "s3://x/latest", "--carried", empty).exit_code == 0
    assert said()[-2:] == ["mailctl canaries", "up"]


def test_here_is_refused_where_there_is_mail(cli: Cli, empty: Path, said: Said, repo: Path) -> None:
    (repo.parent / "hdd/mailboxes/example.org").mkdir()
    done = cli("move", "here", "--from", "s3://x/latest")
    assert done.exit_code == 1 and "there is mail already" in done.stderr and said() == []


def test_here_is_refused_where_something_runs(cli: Cli, empty: Path, said: Said, engine: FakeEngine) -> None:
    engine.containers[0]["State"]["Status"] = "running"
    done = cli("move", "here", "--from", "s3://x/latest")
    assert done.exit_code == 1 and "runs here already" in done.stderr and said() == []


def test_here_is_refused_at_another_commit(cli: Cli, empty: Path, said: Said, repo: Path) -> None:
    subprocess.run([*GIT, "commit", "-qm", "second", "--allow-empty"], cwd=repo, check=True)
    done = cli("move", "here", "--from", "s3://x/latest", "--carried", empty)
    assert done.exit_code == 1 and "git checkout" in done.stderr and said() == []


def test_a_check_brings_the_images_and_looks_again_later(
    cli: Cli, empty: Path, said: Said, host: Path
) -> None:
    assert cli("move", "here", "--check").exit_code == 0
    assert list(json.loads((host / "move.json").read_text())["done"]) == ["images"] and said() == []


def test_a_host_is_not_moved_both_ways(cli: Cli, host: Path, said: Said) -> None:
    cli("move", "away", "--yes")
    done = cli("move", "here", "--from", "s3://x/latest")
    assert done.exit_code == 1 and "being moved away" in done.stderr
