"""The whole generated server on three hosts: mail, pages, hardening, updates, and hosts that lose power.

Three engines have all images after minutes only, so that all of it is a part of the series (make soak).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest

from tests.stack.stack import eventually, run, speaker
from tests.swarm.conftest import PREFIX
from tests.swarm.crowd import Crowd, busy
from tests.swarm.engines import Host
from tests.swarm.server import PEOPLE, Server, exactly_once, running

pytestmark = pytest.mark.series("SWARM")
#: What make verify asks; a host of engines.py has neither systemd nor an installed mailctl.
VERIFIED = (
    "(access or disks or endpoints or healthy) and not (firewall_is_there or room or canaries or services)"
)
#: Seconds after which a use must be possible again when a host has died (issue: database 10, the rest 30).
DATABASE, REST = 10, 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(f"{PREFIX}-mail", tmp_path_factory.mktemp("mail")) as found:
        yield found


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return speaker(request.config)


def works(crowd: Crowd, since: float, *uses: str) -> bool:
    """Whether each of these uses worked after a moment."""
    return all(crowd.worked[use] and crowd.worked[use][-1] > since for use in uses)


def test_mail_reaches_the_mailboxes_of_all_shards_once_and_is_read_at_every_proxy(server: Server) -> None:
    crowd = server.crowd()
    for number, person in enumerate(PEOPLE):
        assert crowd.post(f"from outside {crowd.name} {number}", person)
        assert crowd.submit(f"from inside {crowd.name} {number}", PEOPLE[number - 1], person)
    exactly_once(server, crowd)
    shards = server.mailctl(server.hosts[0], "node", "list")["shards"]
    assert [(each["name"], each["mailboxes"]) for each in shards] == [("a", 1), ("b", 1), ("c", 1)]
    head = crowd.head(PEOPLE[2], f"from outside {crowd.name} 2")
    assert head["Authentication-Results"].startswith("mail.example.com;"), "the filter has seen it"
    assert "by dovecot-c with LMTPS" in head["Received"], "it lies where its mailbox is"
    inside = crowd.head(PEOPLE[2], f"from inside {crowd.name} 2")
    assert inside["DKIM-Signature"], "the keys are those of all replicas"


@pytest.fixture(scope="module")
def verifier(server: Server) -> str:
    """What make verify runs the tests of a host with."""
    run("make", "--no-print-directory", ".venv-verify/.done", cwd=server.repo, limit=300)
    return str(server.repo / ".venv-verify/bin/python")


def test_the_hosts_are_verified_as_that_of_a_single_server_is(
    server: Server, verifier: str, tmp_path: Path
) -> None:
    passed, kept, all_of_them = set[str](), tmp_path / "results.json", set[str]()
    for host in server.hosts:
        words = ("-m", "pytest", "tests/host", "--quiet", "-p", "no:cacheprovider", f"--path={server.repo}")
        words += (f"--hosts=docker://{host.container}", f"--results={kept}", "-k", VERIFIED)
        done = subprocess.run(
            (verifier, *words), cwd=server.repo, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-4000:]
        tests = json.loads(kept.read_text())["tests"]
        all_of_them |= {each["name"] for each in tests}
        passed |= {each["name"] for each in tests if each["outcome"] == "passed"}
    assert all_of_them and passed == all_of_them, "what one host lacks a task for, another one is asked"


def test_the_pages_answer_on_each_host_that_has_them(server: Server) -> None:
    answered = 0
    for host in server.hosts:
        if not host.tasks(f"{server.repo.name}_nginx"):
            continue
        for name, place in (
            ("mail", "https://account.example.com/oidc/authorize"),
            ("account", "/account"),
            ("admin", "/login"),
        ):
            url, headers = f"http://{host.address}:8080/", {"Host": f"{name}.example.com"}
            answer = httpx.get(url, headers=headers, timeout=60)
            assert answer.headers["Location"].startswith(place), answer.text
            answered += 1
    assert answered == 6


def test_every_task_of_every_host_may_do_what_the_model_says_and_no_more(server: Server) -> None:
    found = [server.mailctl(host, "swarm", "check") for host in server.hosts]
    assert [each["differing"] for each in found] == [{}, {}, {}]
    assert sum(each["tasks"] for each in found) == sum(
        each["running"] for each in server.services(server.hosts[0]).values()
    )


def test_a_bad_update_rolls_back_while_mail_goes_on(server: Server) -> None:
    before = {name: each["image"] for name, each in server.services(server.hosts[0]).items()}
    crowd = server.crowd()
    server.edit("config/nginx/mailserver.conf", "server {", "sevrer {")
    with busy(crowd, {}):
        refused = server.mailctl(server.hosts[0], "swarm", "deploy", ok=False)
    server.edit("config/nginx/mailserver.conf", "sevrer {", "server {")
    assert [each["field"] for each in refused["problems"]] == ["service nginx", f"stack {server.repo.name}"]
    assert "sevrer" in refused["details"] and "runs again" in refused["problems"][1]["wrong"]
    eventually(lambda: server.whole(server.hosts[0]), limit=60)
    assert {name: each["image"] for name, each in server.services(server.hosts[0]).items()} == before
    exactly_once(server, crowd)


@pytest.mark.parametrize("number", [2, 1, 0])
def test_a_host_dies_and_comes_back_and_what_was_accepted_is_there_once(
    server: Server, number: int, say: Callable[[str], None]
) -> None:
    victim, crowd = server.hosts[number], server.crowd()
    others = [host for host in server.hosts if host is not victim]
    alive = [each for place, each in enumerate(PEOPLE) if place != number]
    rest = [f"{kind} {each}" for kind in ("read", "api", "submission") for each in alive]
    writers = {f"database from {host.name}": server.writer(host) for host in others}
    eventually(lambda: server.whole(others[0]), limit=120, every=1)
    with busy(crowd, writers):
        eventually(lambda: works(crowd, 0, *crowd.worked), limit=60)
        died = monotonic()
        victim.kill()
        settled(server, others[0])
        eventually(lambda: works(crowd, monotonic() - 5, *rest), limit=60)
        gaps = {use: crowd.gap(use, died) for use in (*writers, *rest)}
        victim.start()
        back = monotonic()
        eventually(lambda: works(crowd, back, *crowd.worked), limit=180)
        eventually(lambda: server.whole(others[0]), limit=240, every=1)
        after = {use: crowd.gap(use, back) for use in (*writers, *rest)}
    say(f"{victim.name} killed: {longest(gaps)}; back: {longest(after)}; {dict(crowd.troubles)}")
    assert max(gaps[use] for use in writers) <= DATABASE, gaps
    assert max(gaps[use] for use in rest) <= REST, gaps
    exactly_once(server, crowd)


def settled(server: Server, host: Host) -> None:
    """Wait until what is not pinned runs on the other hosts as often as it should."""

    def look() -> bool:
        found = server.services(host).values()
        return sum(each["running"] < each["wanted"] for each in found if each["name"][-2] != "-") == 0

    eventually(look, limit=240, every=1)


def longest(gaps: dict[str, float]) -> str:
    """The longest gap of each kind of use, in seconds."""
    kinds: dict[str, float] = {}
    for use, gap in gaps.items():
        kinds[use.split()[0]] = max(gap, kinds.get(use.split()[0], 0))
    return ", ".join(f"{kind} {gap:.1f} s" for kind, gap in kinds.items())


def test_two_of_three_hosts_are_lost_and_nothing_changes_until_they_are_back(server: Server) -> None:
    first, *others = server.hosts
    crowd = server.crowd()
    with busy(crowd, {}):
        eventually(lambda: works(crowd, 0, *crowd.worked), limit=60)
        for host in others:
            host.kill()
        running_on = len(first.docker("ps", "--quiet").split())
        refused = server.mailctl(first, "swarm", "deploy", ok=False)
        assert refused["problems"], "without a majority of the managers nothing can be changed"
        promised = len(crowd.promised)
        assert len(first.docker("ps", "--quiet").split()) == running_on, "what ran there runs on"
        for host in others:
            host.start()
        eventually(lambda: len(crowd.promised) > promised, limit=300)
        eventually(lambda: server.whole(first), limit=300, every=1)
    exactly_once(server, crowd)


def test_all_hosts_lose_their_power_and_go_on_by_themselves(
    server: Server, say: Callable[[str], None]
) -> None:
    crowd = server.crowd()
    with busy(crowd, {}):
        eventually(lambda: works(crowd, 0, *crowd.worked), limit=60)
        for host in server.hosts:
            host.kill()
        for host in server.hosts:
            host.start()
        back = monotonic()
        eventually(lambda: works(crowd, back, *crowd.worked), limit=400)
        say(f"power cut of all: mail and log-ins again {monotonic() - back:.0f} s after the engines")
    eventually(lambda: server.whole(server.hosts[0]), limit=300, every=1)
    exactly_once(server, crowd)
