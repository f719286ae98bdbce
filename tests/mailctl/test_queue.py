"""`mailctl queue` and `mailctl logs`: what waits and what was said, and nothing done by mistake."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Cli
from fakes import FakeDocker, FakeEngine, container
from hypothesis import given, settings
from hypothesis import strategies as st

from mailctl.core import mail_queue

ID, HELD = "4jb64t38NBzJmhw", "4jb64x3KlfzJmjF"
REASON = "connect to smtp.sendgrid.net[192.0.2.1]:587: Connection timed out"


def listed(id: str, queue: str = "deferred", age: int = 600, reason: str = REASON) -> str:
    """A line of `postqueue -j`."""
    to = [{"address": "friend@far.example", "delay_reason": reason}, {"address": "other@far.example"}]
    about = {
        "queue_name": queue,
        "queue_id": id,
        "arrival_time": int(time.time()) - age,
        "message_size": 2048,
    }
    return (
        json.dumps(about | {"sender": "reader@example.com", "forced_expire": False, "recipients": to}) + "\n"
    )


@pytest.fixture
def postfix(engine: FakeEngine, docker: FakeDocker) -> FakeDocker:
    engine.containers = [container("postfix", log="one\nNov 26 19:27:26 mail postfix/qmgr[1]: two\n")]
    docker.answer("-j", listed(ID) + "no JSON\n" + listed(HELD, "hold", 9000, ""))
    return docker


def test_the_queue_is_listed_the_oldest_first_with_reasons(cli: Cli, postfix: FakeDocker) -> None:
    shown = cli("queue")
    assert shown.exit_code == 0 and max(map(len, shown.stdout.splitlines())) <= 80
    assert shown.stdout.index(HELD) < shown.stdout.index(ID)
    said = " ".join(shown.stdout.split())
    assert REASON in said and "friend@far.example +1" in said and "2 mails wait: 1 hold, 1 deferred" in said
    assert len(json.loads(cli("queue", "--json").stdout)["mails"]) == 2
    oldest, _ = json.loads(cli("queue", "list", "--json").stdout)["mails"]
    assert (oldest["id"], oldest["queue"]) == (HELD, "hold") and oldest["age_seconds"] >= 9000


def test_an_empty_queue_is_said_to_be(cli: Cli, engine: FakeEngine, docker: FakeDocker) -> None:
    engine.containers = [container("postfix")]
    assert "The queue is empty." in cli("queue").stdout


@pytest.mark.parametrize("words", [("queue", "list"), ("user", "add", "new@example.com")])
@pytest.mark.parametrize(
    "there", [[], [container("postfix", status="exited"), container("usermgmt", status="exited")]]
)
def test_with_nothing_started_it_says_so_and_how_to_start_it(
    cli: Cli, engine: FakeEngine, docker: FakeDocker, words: tuple[str, ...], there: list[dict[str, Any]]
) -> None:
    engine.containers = there
    shown = cli(*words)
    assert shown.exit_code == 1 and docker.calls == []
    said = " ".join(shown.output.split())
    assert "the stack" in said and "wrong is not running" in said
    assert "fix docker compose up -d --wait; a local trial: make local" in said


def test_a_service_that_is_missing_beside_others_is_named_with_what_starts_it(
    cli: Cli, engine: FakeEngine, docker: FakeDocker
) -> None:
    engine.containers = [container("dovecot")]
    said = " ".join(cli("queue", "list").output.split())
    assert "service postfix" in said and "wrong has no container fix docker compose up -d postfix" in said


@settings(deadline=None)
@given(st.text() | st.builds(listed, st.text(), st.text(), st.integers(), st.text()))
def test_a_list_of_any_form_never_raises(text: str) -> None:
    list(mail_queue.read(text))


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("retry", ["postqueue", "-i", ID]),
        ("hold", ["postsuper", "-h", ID]),
        ("release", ["postsuper", "-H", ID]),
        ("delete", ["postsuper", "-d", ID]),
    ],
)
def test_a_verb_does_its_work_on_one_mail(cli: Cli, postfix: FakeDocker, verb: str, words: list[str]) -> None:
    agreed = () if verb == "retry" else ("--yes",)
    assert json.loads(cli("queue", verb, ID, *agreed, "--json").stdout) == {
        "ok": True,
        "done": verb,
        "mails": [ID],
    }
    assert postfix.calls[-1]["arguments"][-3:] == words


def test_a_flush_tries_all_that_nobody_holds(cli: Cli, postfix: FakeDocker) -> None:
    assert json.loads(cli("queue", "flush", "--json").stdout)["mails"] == [ID]
    assert postfix.calls[-1]["arguments"][-2:] == ["postqueue", "-f"]


@pytest.mark.parametrize("verb", ["hold", "release", "delete"])
def test_without_a_yes_nothing_is_done(cli: Cli, postfix: FakeDocker, verb: str) -> None:
    result = cli("queue", verb, ID)
    assert result.exit_code == 2 and "add --yes" in " ".join(result.stderr.split())
    assert not postfix.calls_with("postsuper")


@pytest.mark.parametrize("id", ["ALL", "4jb64t", ID + "x", "-d"])
def test_only_a_mail_that_waits_can_be_named(cli: Cli, postfix: FakeDocker, id: str) -> None:
    """Postfix itself would take ALL for every mail of the queue."""
    assert cli("queue", "delete", "--yes", "--", id).exit_code == 1
    assert not postfix.calls_with("postsuper")


def test_one_mail_is_shown_with_its_header_that_steers_no_terminal(cli: Cli, postfix: FakeDocker) -> None:
    postfix.answer("postcat", "Subject: \x1b[2Jhello\n")
    shown = cli("queue", "show", ID).stdout
    assert "hello" in shown and "reader@example.com" in shown and "\x1b" not in shown


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host nine hours before UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_logs_are_one_line_each_by_local_time_without_the_services_own(
    cli: Cli, engine: FakeEngine, tokyo: None
) -> None:
    engine.containers = [
        container("postfix", log="one\nNov 26 19:27:26 mail postfix/qmgr[1]: two\n"),
        container("mariadb", log="2026-11-26 17:18:31 16 [Note] three\n"),
    ]
    shown = [line.split(maxsplit=3)[2:] for line in cli("logs").stdout.splitlines()]
    # Each container's first line has the same time here.
    assert sorted(shown[:2]) == [["12:04:00", "mariadb 16 [Note] three"], ["12:04:00", "postfix one"]]
    assert shown[2] == ["12:04:00", "postfix postfix/qmgr[1]: two"]
    [line] = json.loads(cli("logs", "postfix", "-n", "1", "--json").stdout)["lines"]
    assert line["service"] == "postfix" and line["at"] == "2026-01-02T03:04:00.001000+00:00"


def test_followed_logs_are_a_document_a_line_and_end_with_the_containers(
    cli: Cli, postfix: FakeDocker
) -> None:
    printed = cli("logs", "--follow").stdout
    assert "one" in printed and "two" in printed


def test_a_service_without_a_container_is_named(cli: Cli, postfix: FakeDocker) -> None:
    result = cli("logs", "postfx")
    assert result.exit_code == 2 and "one of: postfix" in " ".join(result.stderr.split())
