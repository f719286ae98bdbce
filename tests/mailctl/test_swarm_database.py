"""`mailctl db`: how the three members are, and who founds the database again when all were down."""

import json
from pathlib import Path

import pytest
from conftest import Cli
from fakes import FakeDocker

from mailctl.core import members
from mailctl.swarm import database

ONE, OTHER = "6f7c0a4e-0000-11f0-8000-000000000001", "6f7c0a4e-0000-11f0-8000-000000000002"
OTHERS = ("ssh://10.0.0.2", "ssh://10.0.0.3")
ASK = "/usr/local/bin/ask-member"
LABEL = "label=com.docker.swarm.service.name=shop-mail_{}"


@pytest.fixture
def cluster(repo: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A repository for several hosts; each member's container is here, unless a test says otherwise."""
    hosts = "".join(f"  - {{name: mail{n}, address: 10.0.0.{n}, database: {n}}}\n" for n in (1, 2, 3))
    (repo / "nodes.yml").write_text(f"nodes:\n{hosts}")
    monkeypatch.setattr(database, "POLL_SECONDS", 0.01)
    return docker


def are(docker: FakeDocker, *words: str) -> None:
    """What each member says of itself, or "" for one that has no container."""
    for name, said in zip(members.NAMES, words, strict=True):
        docker.answer(LABEL.format(name), f"c-{name}\n" if said else "")
        docker.answer(f"c-{name}", f"{name} {said}\n")


def commanded(docker: FakeDocker) -> list[list[str]]:
    """What was done inside the containers, the questions left out."""
    asked = [call["arguments"] for call in docker.calls_with("exec")]
    return [words for words in asked if not {"/usr/local/bin/member-state", ASK} & set(words)]


def test_a_whole_database_is_well_and_one_without_a_writer_is_not(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"member 1 {ONE} 8", f"writer 1 {ONE} 8", f"member 1 {ONE} 8")
    assert cli("db", "status", "--json").exit_code == 0
    are(cluster, f"member 1 {ONE} 8", f"member 1 {ONE} 8", f"member 1 {ONE} 8")
    assert cli("db", "status").exit_code == 1


def test_a_member_on_another_host_is_asked_by_one_that_is_here(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"writer 1 {ONE} 8", "", "")
    for name in members.NAMES[1:]:
        cluster.answer(name, f"{name} member 1 {ONE} 8\n")
    result = cli("db", "status", "--json")
    assert result.exit_code == 0
    assert {member["host"] for member in json.loads(result.stdout)["members"]} == {"", *OTHERS}
    assert not any(words[0] in OTHERS for words in commanded(cluster)), "no host needs to let another in"


def test_a_member_that_no_other_hears_is_looked_for_on_its_host(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"writer 1 {ONE} 8", "", f"member 1 {ONE} 8")
    said = json.loads(cli("db", "status", "--json").stdout)
    assert [member["state"] for member in said["members"]] == ["writer", "absent", "member"]
    assert any(OTHERS[0] in call["arguments"] for call in cluster.calls)


def test_who_is_to_found_the_database_is_told_so_on_its_own_host(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"waiting 1 {ONE} 8", "", "")
    for name in members.NAMES[1:]:
        cluster.answer(name, f"{name} waiting 1 {ONE} 9\n")
    result = cli("db", "recover", "--yes")
    assert result.exit_code == 1
    assert "mariadb-2" in result.stderr and "run it on that host" in result.stderr
    assert commanded(cluster) == []


def test_a_database_that_is_there_is_not_founded_again(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"waiting 1 {ONE} 9", f"joining 1 {ONE} 8", "")
    result = cli("db", "recover", "--yes", "--without", "mariadb-3")
    assert result.exit_code == 1
    assert "mariadb-2" in result.stderr
    assert commanded(cluster) == []


def test_who_cannot_say_how_far_it_is_must_be_started_or_left_out_by_name(
    cli: Cli, cluster: FakeDocker
) -> None:
    are(cluster, f"waiting 1 {ONE} 9", f"waiting 1 {ONE} 8", "")
    result = cli("db", "recover", "--yes")
    assert result.exit_code == 1
    assert "--without mariadb-3" in " ".join(result.stderr.split())
    assert commanded(cluster) == []
    assert cli("db", "recover", "--yes", "--without", "mariadb-4").exit_code == 2


def test_two_histories_are_never_chosen_between_without_being_told(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"waiting 1 {ONE} 9", f"waiting 1 {OTHER} 12", "waiting 0 - -1")
    assert cli("db", "recover", "--yes").exit_code == 1
    assert commanded(cluster) == []


def test_without_a_yes_nothing_is_done(cli: Cli, cluster: FakeDocker) -> None:
    are(cluster, f"waiting 1 {ONE} 9", f"waiting 1 {ONE} 12", "waiting 0 - -1")
    result = cli("db", "recover")
    assert result.exit_code == 1
    assert "mariadb-2 founds the database again" in result.stderr
    assert commanded(cluster) == []


@pytest.mark.parametrize(
    ("states", "options", "founder"),
    [
        ((f"waiting 1 {ONE} 9", f"waiting 1 {ONE} 12", "waiting 0 - -1"), (), "mariadb-2"),
        ((f"waiting 1 {ONE} 9", f"apart 1 {ONE} 9", ""), ("mariadb-3",), "mariadb-1"),
        (("", f"waiting 1 {ONE} 8", f"apart 1 {ONE} 9"), ("mariadb-1",), "mariadb-3"),
    ],
)
def test_the_member_that_is_furthest_founds_and_the_others_join(
    repo: Path, cluster: FakeDocker, states: tuple[str, ...], options: tuple[str, ...], founder: str
) -> None:
    from mailctl.core.context import Context
    from mailctl.core.output import Output

    are(cluster, *states)
    context = Context(repo, Output())
    decided = database.plan(members.ask(context), options)
    assert decided.founder.name == founder
    are(cluster, *("" if not said else f"member 1 {ONE} 12" for said in states))
    database.carry_out(context, decided)
    [command] = commanded(cluster)
    assert f"c-{founder}" in command
    assert ("pc.bootstrap=YES" in command[-1]) == (decided.founder.state == "apart")
    assert decided.founder.state == "apart" or command[-1] == "/var/lib/mysql/.bootstrap"


def test_it_is_said_when_the_others_do_not_come_back(
    repo: Path, cluster: FakeDocker, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setattr(database, "LIMIT_SECONDS", 0.05)
    are(cluster, f"waiting 1 {ONE} 9", f"waiting 1 {ONE} 12", "waiting 0 - -1")
    result = cli("db", "recover", "--yes")
    assert result.exit_code == 1
    assert "not whole" in result.stderr


def test_a_dump_is_taken_from_a_member_that_does_not_write_and_is_set_aside_meanwhile(
    repo: Path, cluster: FakeDocker
) -> None:
    from mailctl.core.context import Context
    from mailctl.core.output import Output

    are(cluster, f"writer 1 {ONE} 8", f"member 1 {ONE} 8", "")
    with members.source(Context(repo, Output())) as container:
        assert container == "c-mariadb-2"
        assert [words[-1] for words in commanded(cluster)] == ["SET GLOBAL wsrep_desync = ON"]
    assert commanded(cluster)[-1][-1] == "SET GLOBAL wsrep_desync = OFF"
