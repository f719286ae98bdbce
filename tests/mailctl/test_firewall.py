"""The firewall that `mailctl host setup` writes, in a real kernel: hosts of a Swarm, and a stranger."""

import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Cli
from test_host import host  # noqa: F401 (a fixture)
from walled import DOORS, FAMILIES, MORE, Host, lan, reached

from mailctl.agent import setup
from mailctl.host import install, ready

pytestmark = pytest.mark.nft
SWARM = {"tcp 2377", "tcp 7946", "udp 4789", "udp 7946", "esp"}
#: SSH, and HOST_OPEN_PORTS below.
EVERYBODY = {"tcp 22", "tcp 443", "udp 51820"}
NAMES = ("mail1", "mail2", "mail3", "other")
SetUp = Callable[..., None]


@pytest.fixture
def network() -> Iterator[list[Host]]:
    with lan(*NAMES) as found:
        yield found


@pytest.fixture
def set_up(cli: Cli, host: Path, repo: Path, network: list[Host], monkeypatch: pytest.MonkeyPatch) -> SetUp:  # noqa: F811
    """Run `mailctl host setup` with these hosts in nodes.yml; systemd's part is done in their networks."""
    monkeypatch.setattr(setup, "missing", lambda _: [])
    monkeypatch.setattr(install, "check_host", lambda: None)
    monkeypatch.setattr(ready, "_restart_engine", lambda _: None)
    with (repo / ".env").open("a") as env:
        env.write("HOST_OPEN_PORTS=443 51820/udp\n")
    walled: list[Host] = []

    def systemctl(*words: str) -> str:
        if words[0] == "reload-or-restart":
            unit = (host / words[1]).read_text()
            [line] = [line for line in unit.splitlines() if line.startswith("ExecReload=")]
            for each in walled:
                each.run(*line.partition("=")[2].split())
        return ""

    monkeypatch.setattr(install, "systemctl", systemctl)

    def run(hosts: list[Host], family: str = "IPv4") -> None:
        walled[:] = hosts
        rows = (f"  - {{name: {each.name}, address: '{each.addresses[family]}'}}\n" for each in hosts)
        (repo / "nodes.yml").write_text(f"nodes:\n{''.join(rows)}")
        done = cli("host", "setup")
        assert done.exit_code == 0, done.stderr

    return run


def of(*families: str, doors: set[str]) -> set[str]:
    return {f"{family} {door}" for family in families for door in doors}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_hosts_of_a_swarm_reach_each_other_and_a_stranger_only_what_is_open_to_everybody(
    network: list[Host], set_up: SetUp, family: str
) -> None:
    *hosts, stranger = network
    set_up(hosts, family)
    everybody, answers = of(*FAMILIES, doors=EVERYBODY), of(*FAMILIES.keys() - {family}, doors={"esp"})
    for one in hosts:
        assert reached(stranger, one, everybody) == everybody, f"a stranger at {one.name}"
        for other in (other for other in hosts if other is not one):
            expected = everybody | of(family, doors=SWARM)
            # To whom a host has sent ESP, that one may answer, at another address too.
            assert reached(one, other, expected) - answers == expected, f"{one.name} at {other.name}"
        whatever = of(*FAMILIES, doors=set(DOORS))
        assert reached(one, stranger, whatever) == whatever, "what it begins itself is answered"


def test_a_host_that_is_added_is_let_in_and_one_that_is_removed_is_cut_off_at_once(
    network: list[Host], set_up: SetUp
) -> None:
    first, second, third, fourth = network
    everybody = of(*FAMILIES, doors=EVERYBODY)
    swarm = everybody | of("IPv4", doors=SWARM)
    set_up([first, second, third])
    assert reached(fourth, first, everybody) == everybody
    set_up(network)
    assert reached(fourth, first, swarm) == swarm
    manager, gossip = connected(fourth, first), chatting(fourth, first)
    others = connected(second, first), chatting(second, first)
    assert all(passes() for passes in (manager, gossip, *others))
    set_up([first, second, third])
    assert reached(fourth, first, everybody) == everybody
    assert not manager() and not gossip(), "what it had open is cut off as well"
    assert all(passes() for passes in others), "the others' connections go on"


def test_ssh_is_open_to_those_it_is_kept_for_and_the_swarm_stays_whole(
    network: list[Host], set_up: SetUp, repo: Path
) -> None:
    first, second, third, operator = network
    with (repo / ".env").open("a") as env:
        env.write(f"DEPLOY_SSH_FROM={operator.addresses['IPv4']}\n")
    set_up([first, second, third])
    common = of(*FAMILIES, doors=EVERYBODY - {"tcp 22"})
    for source, more in ((operator, of("IPv4", doors={"tcp 22"})), (second, of("IPv4", doors=SWARM))):
        assert reached(source, first, common | more) == common | more, source.name


def connected(source: Host, target: Host) -> Callable[[], bool]:
    """A connection to the managers' port: whether something sent over it arrives."""
    with source.inside():
        client = socket.create_connection((target.addresses["IPv4"], 2377), timeout=5)
    door = target.doors["tcp 2377"]
    while (accepted := door.accept())[1][1] != client.getsockname()[1]:
        accepted[0].close()  # of an attempt before

    def passes() -> bool:
        client.send(b"x")
        return arrives(accepted[0])

    return passes


def chatting(source: Host, target: Host) -> Callable[[], bool]:
    """Gossip, from port to port: whether it arrives and is answered."""
    one, other = source.doors["udp 7946"], target.doors["udp 7946"]

    def passes() -> bool:
        one.sendto(b"x", (f"::ffff:{target.addresses['IPv4']}", 7946))
        other.sendto(b"x", (f"::ffff:{source.addresses['IPv4']}", 7946))
        return arrives(other) and arrives(one)

    return passes


def arrives(door: socket.socket) -> bool:
    return bool(select.select([door], [], [], MORE)[0]) and bool(door.recv(4096))
