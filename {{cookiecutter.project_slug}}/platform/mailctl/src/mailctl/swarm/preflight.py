"""`mailctl swarm preflight`: asks the Swarm about its hosts, and then each host about every other one."""

import contextlib
import json
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mailctl.core.checklist import FAILED, OK, WARNING, Line
from mailctl.core.errors import Refused
from mailctl.swarm import docker
from mailctl.swarm.inventory import DATABASE, FILE, SHARD, Inventory, Node

#: start_interval of health checks and configs with modes: older engines drop one of them.
OLDEST_ENGINE = (25, 0)
MOST_OFFSET = 1.0
PROBE_SECONDS = 75.0
PROBE = Path(__file__).with_name("probe.py")
HARDENED = 'write "no-new-privileges": true into its /etc/docker/daemon.json, and restart its engine'


def swarm(inventory: Inventory, nodes: list[dict[str, Any]]) -> Iterator[Line]:
    """What the engine says of its hosts, against nodes.yml."""
    there = {each["Description"]["Hostname"]: each for each in nodes}
    for node in inventory.nodes:
        yield _node(node, there.get(node.name), node.name in inventory.managers)
    for name in sorted(set(there) - {node.name for node in inventory.nodes}):
        yield Line(name, FAILED, f"is in the Swarm and not in {FILE}", "add it there, or: docker node rm")
    versions = {each["Description"]["Engine"]["EngineVersion"] for each in there.values()}
    if len(versions) > 1:
        yield Line(
            "engines", WARNING, f"of several versions: {', '.join(sorted(versions))}", "update them all"
        )


def _node(node: Node, found: Mapping[str, Any] | None, manager: bool) -> Line:
    """The one line of a host: the first thing that is wrong with it, or what it is."""
    if found is None:
        return Line(node.name, FAILED, "is no host of this Swarm", "docker swarm join, with that host name")
    version = found["Description"]["Engine"]["EngineVersion"]
    state, labels = found["Status"], found["Spec"].get("Labels") or {}
    reach = found.get("ManagerStatus") or {}
    address = (reach.get("Addr", "").rpartition(":")[0] or state.get("Addr", "")).strip("[]")
    missing = {label: value for label, value in node.labels.items() if labels.get(label) != value}
    add = " ".join(f"--label-add {label}={value}" for label, value in missing.items())
    remove = " ".join(
        f"--label-rm {each}" for each in sorted(set(labels) & {DATABASE, SHARD} - set(node.labels))
    )
    available = found["Spec"]["Availability"]
    update, change = "docker node update", "demote" if reach else "promote"
    wrong = (
        (state["State"] != "ready", f"is {state['State']}: {state.get('Message', '')}", "start its engine"),
        (available != "active", f"is {available}", f"{update} --availability active {node.name}"),
        (bool(reach) != manager, "is a manager" if reach else "is no manager",
         f"docker node {change} {node.name}: managers are the hosts of the database"),
        (reach.get("Reachability", "reachable") != "reachable", "the others do not reach it", "see its log"),
        (address != node.address, f"has the address {address}",
         f"correct {FILE}, or join with --advertise-addr {node.address}"),
        (bool(missing), f"lacks {', '.join(missing)}", f"{update} {add} {node.name}"),
        (bool(remove), f"has labels that {FILE} does not say", f"{update} {remove} {node.name}"),
        (_version(version) < OLDEST_ENGINE, f"has engine {version}", "update it to 25.0 or newer"),
    )  # fmt: skip
    for is_wrong, what, fix in wrong:
        if is_wrong:
            return Line(node.name, FAILED, what, fix)
    role = "manager" if manager else "worker"
    return Line(node.name, OK, f"{role}, engine {version}, {node.address}")


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("+")[0].split("-")[0].split(".")[:2] if part.isdigit())


def heard(reports: Mapping[str, Mapping[str, Any]], expected: set[str], overlay: str) -> Iterator[Line]:
    """What the probes of all hosts said: privileges, clocks, and every pair in both directions."""
    for name in sorted(expected):
        report = reports.get(name)
        if report is None:
            fix = f"see docker service ps there; it must fetch from the registry and reach the {overlay}"
            yield Line(f"{name}: probe", FAILED, "its probe said nothing", fix)
            continue
        if not report["no_new_privileges"]:
            yield Line(f"{name}: privileges", FAILED, "a task may gain privileges", HARDENED)
        if deaf := sorted(expected - set(report["peers"])):
            said = next(iter(report["failed"].values()), "no answer")
            fix = "open 7946/tcp, 7946/udp and 4789/udp between the hosts (encrypted: ESP as well)"
            yield Line(f"{name}: {overlay}", FAILED, f"does not reach {', '.join(deaf)}: {said}", fix)
        worst = max(report["peers"].items(), key=lambda pair: abs(pair[1]), default=(name, 0.0))
        if abs(worst[1]) > MOST_OFFSET:
            wrong = f"differs from {worst[0]} by {abs(worst[1]):.1f} s"
            yield Line(f"{name}: clock", FAILED, wrong, "see timedatectl on both: NTP must be synchronised")
        if not deaf and report["no_new_privileges"]:
            yield Line(f"{name}: {overlay}", OK, f"reaches all {len(expected)}, and they reach it")


def probe(stack: str, image: str, expected: set[str], encrypted: bool) -> dict[str, dict[str, Any]]:
    """Run the probe on every active host, and return what each said; nothing of it stays."""
    name = f"{stack}-probe-{secrets.token_hex(4)}"
    options = ("--opt", "encrypted") if encrypted else ()
    docker.run("network", "create", "--driver", "overlay", "--internal", *options, name)
    try:
        docker.run("config", "create", name, "-", stdin=PROBE.read_bytes())
        docker.run("service", "create", *_service(name, image, len(expected)), seconds=60)
        return _listen(name, expected)
    finally:
        for kind in ("service", "config", "network"):
            _remove(kind, name)


def _service(name: str, image: str, peers: int) -> list[str]:
    """As hardened as all other services: it may do nothing but talk to its peers."""
    words = f"""--detach --quiet --no-resolve-image --with-registry-auth --name {name} --mode global
        --network {name} --endpoint-mode dnsrr --restart-condition none --read-only --cap-drop ALL
        --user 65534:65534 --init --no-healthcheck --limit-memory 64M --limit-pids 50 --entrypoint python3
        --config source={name},target=/probe.py,mode=0444 --env NAME={name} --env PEERS={peers}"""
    return [*words.split(), "--env", "NODE={{.Node.Hostname}}", image, "/probe.py"]


def _listen(name: str, expected: set[str]) -> dict[str, dict[str, Any]]:
    end = time.monotonic() + PROBE_SECONDS
    reports: dict[str, dict[str, Any]] = {}
    while True:
        over = time.monotonic() >= end
        with contextlib.suppress(Refused):  # a host that is down keeps the log from being read
            for line in docker.run("service", "logs", "--raw", name, seconds=15).splitlines():
                if line.startswith("{"):
                    reports |= {(report := json.loads(line))["node"]: report}
        if over or set(reports) >= expected:
            return reports
        time.sleep(1)


def _remove(kind: str, name: str) -> None:
    """Remove one thing of the probe; a network follows its tasks, which take a moment to end."""
    end = time.monotonic() + 30
    while True:
        try:
            docker.run(kind, "rm", name)
        except Refused as refusal:
            said = (refusal.details or "").lower()
            if "not found" in said or time.monotonic() > end:
                return
            time.sleep(1)
        else:
            return
