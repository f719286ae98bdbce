"""Hosts as network namespaces on a bridge of their own: a real kernel filters real packets."""

from __future__ import annotations

import ctypes
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from time import monotonic

#: What answers on each of them; ESP has no ports.
DOORS = ("tcp 22", "tcp 443", "tcp 3306", "tcp 2377", "tcp 7946", "udp 4789", "udp 7946", "udp 51820", "esp")
FAMILIES = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}
#: What shall get through has so many seconds; what else does is waited for this much longer.
LIMIT, MORE = 10.0, 0.15
CLONE_NEWNET, TOKENS, TOKEN_BYTES = 0x40000000, count(), 16


@dataclass
class Host:
    """A namespace with its addresses, and the sockets that answer in it."""

    name: str
    addresses: dict[str, str]
    doors: dict[str, socket.socket] = field(default_factory=dict)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What this thread opens meanwhile is this host's (os.setns is younger than Python 3.11)."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.name}") as there:
            assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(home.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def run(self, *words: str) -> None:
        """Run a command in this host's network."""
        subprocess.run(["ip", "netns", "exec", self.name, *words], check=True, timeout=30)


@contextmanager
def lan(*names: str) -> Iterator[list[Host]]:
    """Hosts that reach each other by IPv4 and IPv6; whatever happens, they are gone afterwards."""
    prefix = f"walled-{os.getpid()}"
    bridge, found = f"{prefix}-bridge", list[Host]()
    with ExitStack() as over:
        _ip(f"netns add {bridge}")
        over.callback(_ip, f"netns delete {bridge}")
        _ip(f"-n {bridge} link add lan up type bridge")
        for number, name in enumerate(names, 1):
            host = Host(f"{prefix}-{name}", {"IPv4": f"10.9.0.{number}", "IPv6": f"fd09::{number}"})
            _ip(f"netns add {host.name}")
            over.callback(_ip, f"netns delete {host.name}")
            _ip(f"link add eth0 netns {host.name} type veth peer name to{number} netns {bridge}")
            _ip(f"-n {bridge} link set to{number} up master lan")
            for link in ("lo", "eth0"):
                _ip(f"-n {host.name} link set {link} up")
            _ip(f"-n {host.name} address add {host.addresses['IPv4']}/24 dev eth0")
            _ip(f"-n {host.name} address add {host.addresses['IPv6']}/64 dev eth0 nodad")
            with host.inside():
                host.doors |= _doors(over)
            found.append(host)
        yield found


def _ip(line: str) -> None:
    subprocess.run(["ip", *line.split()], check=True, timeout=30)


def _doors(over: ExitStack) -> dict[str, socket.socket]:
    made = {}
    for family, number in FAMILIES.items():
        made[f"{family} esp"] = socket.socket(number, socket.SOCK_RAW, socket.IPPROTO_ESP)
    for kind, port in (door.split() for door in DOORS if " " in door):
        of_kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[kind]
        door = made[f"{kind} {port}"] = socket.socket(socket.AF_INET6, of_kind)
        door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        door.bind(("::", int(port)))
        if kind == "tcp":
            door.listen(1000)
    for door in made.values():
        door.setblocking(False)
        over.callback(door.close)
    return made


def reached(source: Host, target: Host, expected: set[str]) -> set[str]:
    """What of DOORS a host reaches at another one, as `IPv4 tcp 22`; but for ESP there and back."""
    found, end = set[str](), monotonic() + LIMIT
    with ExitStack() as over, source.inside():
        asked = {name: _ask(target, *name, over) for name in ((f, d) for f in FAMILIES for d in DOORS)}
        tokens = {token: " ".join(name) for name, (_, token) in asked.items()}
        connecting = [client for client, _ in asked.values() if client.type == socket.SOCK_STREAM]
        hearing = [client for client, _ in asked.values() if client.type == socket.SOCK_DGRAM]
        doors = [door for name, door in target.doors.items() if not name.startswith("tcp")]
        while len(found) < len(asked) and monotonic() < end:
            ready, connected, _ = select.select([*hearing, *doors], connecting, [], 0.02)
            found |= {
                tokens[token]
                for client, token in asked.values()
                if client in connected and not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            }
            connecting = [client for client in connecting if client not in connected]
            for one in ready:
                data, sender = one.recvfrom(4096)
                if one in hearing or one.type == socket.SOCK_RAW:
                    found |= {tokens[token] for token in tokens.keys() & {data[-TOKEN_BYTES:]}}
                else:
                    one.sendto(data, sender)
            if expected <= found:
                end = min(end, monotonic() + MORE)
    return found


def _ask(target: Host, family: str, door: str, over: ExitStack) -> tuple[socket.socket, bytes]:
    """Begin to connect, or send: the socket, and what a datagram is known by."""
    kind, _, port = door.partition(" ")
    types = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "esp": socket.SOCK_RAW}
    client = socket.socket(FAMILIES[family], types[kind], socket.IPPROTO_ESP if kind == "esp" else 0)
    over.callback(client.close)
    client.setblocking(False)
    token = f"{next(TOKENS):0{TOKEN_BYTES}}".encode()
    if kind == "tcp":
        client.connect_ex((target.addresses[family], int(port)))
    else:
        client.connect((target.addresses[family], int(port or 0)))
        client.send(token)
    return client, token
