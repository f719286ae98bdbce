"""What `mailctl swarm` concludes from what the engine says: hosts, probes, updates, what a task may do."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailctl.core.checklist import FAILED, OK
from mailctl.core.errors import Refused
from mailctl.swarm import converge, hardening, inventory, preflight, turns

ROWS = [
    {"name": f"mail{n}", "address": f"10.0.0.{n}", "database": n, "shard": "abc"[n - 1]} for n in (1, 2, 3)
]


def read(tmp_path: Path, rows: Any, **more: Any) -> inventory.Inventory:
    (tmp_path / "nodes.yml").write_text(yaml.safe_dump({"nodes": rows, **more}))
    return inventory.read(tmp_path)


def test_the_hosts_are_read_with_what_each_is_for(tmp_path: Path) -> None:
    found = read(
        tmp_path, [*ROWS, {"name": "mail4", "address": "10.0.0.4", "shard": "d"}], encrypted_overlay=True
    )
    assert (found.members("database"), found.members("shard")) == (["1", "2", "3"], ["a", "b", "c", "d"])
    assert found.managers == {"mail1", "mail2", "mail3"} and found.encrypted
    assert found.nodes[0].labels == {"mail.database": "1", "mail.shard": "a"}


@pytest.mark.parametrize(
    ("number", "field", "value", "said"),
    [
        (1, "name", "mail1", "nodes[1].name"),
        (2, "address", None, "nodes[2].address"),
        (1, "shard", "a", "nodes[1].shard"),
        (2, "database", 2, "nodes[2].database"),
        (2, "database", None, "database"),
        (0, "name", 7, "nodes[0].name"),
    ],
)
def test_hosts_that_do_not_go_together_are_refused_with_the_place(
    tmp_path: Path, number: int, field: str, value: object, said: str
) -> None:
    rows = deepcopy(ROWS)
    rows[number][field] = value
    with pytest.raises(Refused) as refusal:
        read(tmp_path, rows)
    assert refusal.value.problems[0].field == f"nodes.yml: {said}"


def test_a_repository_for_one_host_says_so(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="made for one host"):
        inventory.read(tmp_path)
    with pytest.raises(Refused, match="no list of hosts"):
        read(tmp_path, "mail1")
    (tmp_path / "nodes.yml").write_text("nodes: [")
    with pytest.raises(Refused, match="no YAML"):
        inventory.read(tmp_path)


def host(number: int) -> dict[str, Any]:
    """A host as `docker node inspect` has it, as nodes.yml says."""
    row = ROWS[number - 1]
    return {
        "ID": f"id{number}",
        "Description": {"Hostname": row["name"], "Engine": {"EngineVersion": "26.1.5+dfsg1"}},
        "Spec": {
            "Availability": "active",
            "Labels": {"mail.database": str(number), "mail.shard": row["shard"]},
        },
        "Status": {"State": "ready", "Addr": row["address"]},
        "ManagerStatus": {"Reachability": "reachable", "Addr": f"{row['address']}:2377"},
    }


def test_hosts_as_they_should_be_are_good(tmp_path: Path) -> None:
    assert {line.mark for line in preflight.swarm(read(tmp_path, ROWS), [host(1), host(2), host(3)])} == {OK}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("Status", "State"), "down", "is down"),
        (("Spec", "Availability"), "drain", "is drain"),
        (("ManagerStatus",), None, "is no manager"),
        (("ManagerStatus", "Reachability"), "unreachable", "do not reach it"),
        (("ManagerStatus", "Addr"), "192.0.2.1:2377", "has the address 192.0.2.1"),
        (("Spec", "Labels", "mail.shard"), "b", "lacks mail.shard"),
        (("Description", "Engine", "EngineVersion"), "24.0.7", "has engine 24.0.7"),
        (("Description", "Hostname"), "mail9", "is no host of this Swarm"),
    ],
)
def test_what_is_wrong_with_a_host_is_told_with_the_way_out(
    tmp_path: Path, path: tuple[str, ...], value: object, said: str
) -> None:
    wrong = host(1)
    inner = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    lines = [
        line for line in preflight.swarm(read(tmp_path, ROWS), [wrong, host(2), host(3)]) if line.mark != OK
    ]
    assert said in lines[0].found and lines[0].fix and lines[0].mark == FAILED


def report(node: str, **changes: Any) -> dict[str, Any]:
    peers = {f"mail{n}": 0.01 for n in (1, 2, 3)}
    return {"node": node, "no_new_privileges": True, "peers": peers, "failed": {}} | changes


NAMES = {"mail1", "mail2", "mail3"}


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({"no_new_privileges": False}, "mail2: privileges", "may gain privileges"),
        (
            {"peers": {"mail2": 0.0, "mail3": 0.0}, "failed": {"10.9.0.2": "timed out"}},
            "mail2: overlay",
            "does not reach mail1: timed out",
        ),
        (
            {"peers": {"mail1": -2.5, "mail2": 0.0, "mail3": 0.1}},
            "mail2: clock",
            "differs from mail1 by 2.5 s",
        ),
        (None, "mail2: probe", "said nothing"),
    ],
    ids=["privileges", "deaf", "clock", "silent"],
)  # fmt: skip
def test_one_host_that_is_not_as_the_others_is_found(
    changes: dict[str, Any] | None, name: str, said: str
) -> None:
    reports = {each: report(each) for each in NAMES}
    assert {line.mark for line in preflight.heard(reports, NAMES, "overlay")} == {OK}
    if changes is None:
        del reports["mail2"]
    else:
        reports["mail2"] |= changes
    bad = [line for line in preflight.heard(reports, NAMES, "overlay") if line.mark == FAILED]
    assert [line.name for line in bad] == [name] and said in bad[0].found


SPEC = {"Image": "a@sha256:1", "DNSConfig": {}}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def service(**changes: Any) -> dict[str, Any]:
    return {
        "Spec": {"Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"ContainerSpec": SPEC}}
    } | changes


def task(
    state: str = "running", desired: str = "running", image: str = "a@sha256:1", error: str = ""
) -> dict[str, Any]:
    status = {"State": state, "Err": error, "Timestamp": "2026-01-01T00:00:02Z"}
    created = "2026-01-01T00:00:01.123456789Z"
    return {
        "Status": status,
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Image": image}},
        "CreatedAt": created,
    }


OLD = task(image="a@sha256:0")
BAD = task("failed", "shutdown", error="exit 2")


@pytest.mark.parametrize(
    ("found", "tasks", "state"),
    [
        (service(), [task(), task()], converge.READY),
        (service(), [task(), task(), OLD | {"DesiredState": "shutdown"}, BAD], converge.READY),
        (service(), [task()], converge.WAITING),
        (service(), [task(), task("starting")], converge.WAITING),
        (service(), [OLD, OLD], converge.WAITING),
        (service(UpdateStatus={"State": "updating"}), [task(), task()], converge.WAITING),
        (service(UpdateStatus={"State": "completed"}), [task(), task()], converge.READY),
        (service(UpdateStatus={"State": "rollback_completed"}), [task(), task()], converge.FAILED),
        (service(UpdateStatus={"State": "paused"}), [task(), task()], converge.FAILED),
        (service(), [BAD] * 4, converge.FAILED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_service_is_ready_only_with_all_tasks_of_what_was_asked_for(
    found: dict[str, Any], tasks: list[dict[str, Any]], state: str
) -> None:
    assert converge.judge(found, tasks, SINCE).state == state


def test_failures_of_before_do_not_count_and_the_newest_error_is_told() -> None:
    later = datetime(2026, 1, 2, tzinfo=UTC)
    verdict = converge.judge(service(), [BAD] * 4, later)
    assert verdict.state == converge.WAITING and "exit 2" in verdict.why


STATUS = "Name:\tx\nCapBnd:\t0000000000040001\nNoNewPrivs:\t1\n"
MOUNTS = "1 2 0:1 / /run/own rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=1024k,mode=750,uid=10001\n"
MODEL = {
    "user": "10001:10001",
    "read_only": True,
    "init": True,
    "cap_drop": ["ALL"],
    "cap_add": ["CHOWN", "SYS_CHROOT"],
    "deploy": {"resources": {"limits": {"cpus": 0.5, "memory": "67108864", "pids": 50}}},
    "sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
    "networks": {"web": None},
    "tmpfs": ["/run/own:uid=10001,mode=0750,size=1m"],
    "healthcheck": {"test": ["CMD", "a", "$$b"], "interval": "1m30s", "retries": 3},
    "volumes": [{"type": "volume", "source": "d", "target": "/data"}],
}
REAL = {
    "State": {"Pid": 7},
    "Config": {
        "User": "10001:10001",
        "Healthcheck": {"Test": ["CMD", "a", "$b"], "Interval": 90 * 10**9, "Retries": 3},
    },
    "HostConfig": {
        "ReadonlyRootfs": True,
        "Init": True,
        "Privileged": False,
        "Memory": 64 * 2**20,
        "NanoCpus": 5 * 10**8,
        "PidsLimit": 50,
        "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
        "IpcMode": "private",
    },
    "NetworkSettings": {"Networks": {"m_web": {}}},
    "Mounts": [{"Type": "volume", "Destination": each, "RW": True} for each in ("/data", "/run/own")],
}  # fmt: skip


def differences(real: dict[str, Any], status: str = STATUS, mounts: str = MOUNTS) -> list[str]:
    wanted = hardening.expected(MODEL, {"web": {"name": "m_web"}})
    found = hardening.found(real, lambda path: status if path.endswith("status") else mounts)
    return hardening.differences(wanted, found)


def test_a_task_as_hardened_as_the_model_has_no_differences() -> None:
    assert differences(REAL) == []


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (("Config", "User"), "0:0", "user"),
        (("HostConfig", "ReadonlyRootfs"), False, "read_only"),
        (("HostConfig", "Privileged"), True, "privileged"),
        (("HostConfig", "Memory"), 0, "memory"),
        (("HostConfig", "PidsLimit"), None, "pids"),
        (("HostConfig", "PidMode"), "host", "shared"),
        (("HostConfig", "SecurityOpt"), ["seccomp=unconfined"], "shared"),
        (("HostConfig", "Devices"), [{"PathOnHost": "/dev/kmsg"}], "shared"),
        (("NetworkSettings", "Networks"), {"m_web": {}, "m_egress": {}}, "networks"),
        (("Config", "Healthcheck"), {}, "healthcheck"),
        (("Mounts",), [{"Type": "volume", "Destination": "/other", "RW": True}], "writable"),
    ],
)
def test_each_thing_that_a_task_may_do_beyond_the_model_is_told(
    path: tuple[str, ...], value: object, key: str
) -> None:
    real = deepcopy(REAL)
    inner: Any = real
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert [told.split()[0] for told in differences(real)] == [key]


def test_what_only_the_kernel_knows_is_read_from_it() -> None:
    assert differences(REAL, status=STATUS.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0"))[0].startswith(
        "no_new_pri"
    )
    assert "SYS_ADMIN" in differences(REAL, status=STATUS.replace("0000000000040001", "0000000000240001"))[0]
    assert differences(REAL, mounts=MOUNTS.replace("mode=750", "mode=777"))[0].startswith("tmpfs")
    assert differences(REAL, mounts=MOUNTS.replace(",noexec", ""))[0].startswith("tmpfs")
    assert differences(REAL, mounts="")[0].startswith("tmpfs")


def test_the_members_of_the_database_take_turns_and_each_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["mariadb-1", "valkey-2", "nginx", "mariadb-3", "mariadb-2"]
    assert turns.waves(names) == [("mariadb-1", "nginx"), ("valkey-2", "mariadb-2"), ("mariadb-3",)]
    answers = [{"mariadb-2", "mariadb-3"}, {"mariadb-1", "mariadb-2", "mariadb-3"}]
    monkeypatch.setattr(turns, "POLL_SECONDS", 0.0)
    monkeypatch.setattr(turns, "inside", lambda stack: answers.pop(0))
    turns.wait("m", {"mariadb-1", "mariadb-2", "mariadb-3"}, ["nginx"])
    assert len(answers) == 2, "nothing was asked: no member was updated"
    turns.wait("m", {"mariadb-1", "mariadb-2", "mariadb-3"}, ["mariadb-1", "nginx"])
    assert not answers
    monkeypatch.setattr(turns, "LIMIT_SECONDS", 0.0)
    monkeypatch.setattr(turns, "inside", lambda stack: set())
    with pytest.raises(Refused, match="mariadb-2"):
        turns.wait("m", {"mariadb-2"}, ["mariadb-2"])
