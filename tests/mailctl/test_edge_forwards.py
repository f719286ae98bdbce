"""`mailctl edge forwards`: Cloudflare asks the addresses outside that people chose, and tells usermgmt."""

import json
from typing import Any

import pytest
from conftest import Cli
from edge_repo import EdgeRepo
from fake_cloudflare import FakeCloudflare
from fakes import FakeDocker, FakeEngine, container

OLD, ADMIN = "old@elsewhere.example", "admin@elsewhere.example"


@pytest.fixture
def wanted(edge_repo: EdgeRepo, engine: FakeEngine, docker: FakeDocker) -> Any:
    """What usermgmt says: where people forward to, and what mailctl once brought to Cloudflare."""

    def say(*addresses: str, ours: tuple[str, ...] = ()) -> None:
        engine.containers = [container("usermgmt")]
        docker.answer("destinations", json.dumps({"wanted": addresses, "ours": ours}))

    return say


def told(docker: FakeDocker) -> dict[str, Any]:
    """What usermgmt heard last."""
    return json.loads(docker.calls_with("destinations")[-1]["stdin"])


def run(cli: Cli) -> dict[str, Any]:
    return json.loads(cli("edge", "forwards", "--json").stdout)


def test_a_new_address_is_asked_and_usermgmt_hears_when_it_is_confirmed(
    wanted: Any, cloudflare: FakeCloudflare, docker: FakeDocker, cli: Cli
) -> None:
    wanted(OLD)
    assert run(cli)["asked"] == [OLD] and OLD in cloudflare.state.destinations
    assert told(docker) == {"states": {OLD: "waiting"}, "ours": [OLD]}
    cloudflare.state.confirm(OLD)
    wanted(OLD, ours=(OLD,))
    assert run(cli)["asked"] == []
    assert told(docker) == {"states": {OLD: "verified"}, "ours": [OLD]}


def test_what_nobody_needs_any_more_is_deleted_if_it_was_brought_there_for_this(
    wanted: Any, cloudflare: FakeCloudflare, docker: FakeDocker, cli: Cli
) -> None:
    for address in (OLD, ADMIN, "other@elsewhere.example"):
        cloudflare.state.add_destination(address)
    # ADMIN is in edge/edge.yml as well; the third one is somebody else's.
    wanted(ours=(OLD, ADMIN))
    assert run(cli)["deleted"] == [OLD]
    assert set(cloudflare.state.destinations) == {ADMIN, "other@elsewhere.example"}
    assert told(docker) == {"states": {}, "ours": [ADMIN]}


def test_beyond_the_two_hundred_of_an_account_it_says_so_and_the_others_go_on(
    wanted: Any, cloudflare: FakeCloudflare, docker: FakeDocker, cli: Cli
) -> None:
    for number in range(199):
        cloudflare.state.add_destination(f"n{number}@elsewhere.example")
    wanted(OLD, "one-more@elsewhere.example")
    said = run(cli)
    assert said["asked"] == [OLD] and not said["ok"]
    [problem] = said["refused"]
    assert (
        problem["field"] == "one-more@elsewhere.example" and "200 destination addresses" in problem["wrong"]
    )
    assert told(docker)["states"] == {OLD: "waiting"}


def test_cloudflare_is_not_asked_while_nobody_forwards_outside(
    wanted: Any, cloudflare: FakeCloudflare, cli: Cli
) -> None:
    wanted()
    assert run(cli)["ok"] and cloudflare.calls == []
