"""The stack is up: who runs, in which order, within which limits, who reaches whom."""

from __future__ import annotations

from datetime import datetime

import pytest

GIB = 1024**3
MIB = 1024**2
# The table of the design: CPUs and bytes.
LIMITS = {
    "postfix": (1.0, 512 * MIB),
    "dovecot": (1.0, GIB),
    "mariadb": (1.0, GIB),
    "rspamd": (1.0, GIB),
    "clamav": (1.0, 2 * GIB),
    "roundcube": (0.5, 512 * MIB),
    "mailserver-api": (0.5, 256 * MIB),
    "usermgmt": (1.0, 512 * MIB),
    "nginx": (0.5, 256 * MIB),
    "valkey": (0.5, 256 * MIB),
    "unbound": (0.5, 128 * MIB),
    "radicale": (0.5, 256 * MIB),
}
ORDER = (
    "mariadb",
    "dovecot",
    "postfix",
    "clamav",
    "rspamd",
    "roundcube",
    "mailserver-api",
    "usermgmt",
    "nginx",
)
NETWORKS = {
    "edge": {"nginx", "mailserver-api"},
    "web": {"nginx", "roundcube", "usermgmt"},
    "mail": {"mailserver-api", "postfix", "dovecot", "rspamd", "roundcube"},
    "scan": {"rspamd", "clamav", "valkey", "unbound"},
    "data": {"mariadb", "postfix", "dovecot", "roundcube", "usermgmt"},
    "reports": {"rspamd", "usermgmt"},
    "dav": {"nginx", "usermgmt", "radicale"},
    "egress": {"postfix", "rspamd", "clamav", "unbound"},
}
# Postfix's master starts as root and gives its processes accounts of their own.
ROOT = {"postfix"}
CAPABILITIES = {
    "postfix": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
    "dovecot": {"SYS_CHROOT"},
}


def present(stack, names):
    return [name for name in names if name in stack.services()]


def test_every_service_of_the_flavour_runs_and_nothing_else(stack):
    expected = set(LIMITS) | {"mailpit"}
    if "no-antivirus" in stack.project:
        expected -= {"clamav"}
    else:
        expected -= {"radicale"}
    assert set(stack.services()) == expected


def test_every_service_is_healthy(stack):
    # A check that a busy machine was too slow for is made again.
    stack.healthy(*stack.services())


def test_services_started_one_after_the_other(stack):
    started = [datetime.fromisoformat(stack.inspect(n)["State"]["StartedAt"]) for n in present(stack, ORDER)]
    assert started == sorted(started), dict(zip(present(stack, ORDER), started, strict=True))


def test_each_service_has_the_limits_of_the_table(stack):
    found = {}
    for name in present(stack, LIMITS):
        host = stack.inspect(name)["HostConfig"]
        found[name] = (host["NanoCpus"] / 1e9, host["Memory"])
        assert host["PidsLimit"] and host["PidsLimit"] > 0, f"{name} has no limit of processes"
    assert found == {name: LIMITS[name] for name in found}


def test_no_service_was_killed_for_memory_or_restarted(stack):
    for name in stack.services():
        state = stack.inspect(name)
        assert not state["State"]["OOMKilled"], name
        assert state["RestartCount"] == 0, name


def test_each_service_is_hardened(stack):
    for name in present(stack, LIMITS):
        container = stack.inspect(name)
        host = container["HostConfig"]
        assert host["ReadonlyRootfs"], f"{name} can write to its root file system"
        assert host["CapDrop"] == ["ALL"], name
        added = {cap.removeprefix("CAP_") for cap in host["CapAdd"] or []}
        assert added == CAPABILITIES.get(name, set()), name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        assert not host["Privileged"], name
        assert host["LogConfig"]["Config"]["max-size"], f"the log of {name} grows without limit"
        assert (container["Config"]["User"] in ("", "0", "root")) == (name in ROOT), name


def test_networks_join_only_those_who_need_each_other(stack):
    members: dict[str, set[str]] = {name: set() for name in NETWORKS}
    for service in present(stack, LIMITS):
        for network in stack.inspect(service)["NetworkSettings"]["Networks"]:
            short = network.removeprefix(f"{stack.project}_")
            if short in members:
                members[short].add(service)
    running = set(stack.services())
    wanted = {name: who & running for name, who in NETWORKS.items()}
    if "radicale" not in running:
        wanted["dav"] = set()
    assert members == wanted


@pytest.mark.parametrize("network", ["edge", "web", "mail", "scan", "data", "reports"])
def test_a_network_has_no_way_to_the_internet(stack, network):
    assert stack.networks()[network]["Internal"]


def test_ports_are_published_on_this_machine_only(stack):
    for name in stack.services():
        for bindings in (stack.inspect(name)["HostConfig"]["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, name


def test_database_and_mailboxes_live_on_the_answered_disks(stack):
    state = stack.repository / ".local"
    assert (state / "ssd" / "mariadb" / "mailserver").is_dir()
    assert stack.volume("mail_data")["Options"]["device"] == str(state / "hdd" / "mailboxes")


def test_status_shows_every_service_and_says_that_all_is_well(stack):
    shown = stack.mailctl("status", "--local")
    for name in stack.services():
        assert name in shown


def test_the_trial_ends_with_addresses_and_passwords(stack):
    printed = stack.output[-1]
    for value in ("webmail", "mailbox_password", "admin_password", "sink"):
        assert stack.info[value] in printed
