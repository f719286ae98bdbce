"""`make setup-host` on what an installer of Debian leaves: from fresh to ready, with an engine of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.stack import hosts
from tests.stack.hosts import PROJECT
from tests.stack.machine import Machine

base, folder, origin = hosts.base, hosts.folder, hosts.origin
LOOK, SETUP = "make setup-host ARGS=--check", "make setup-host"


@pytest.fixture(scope="module")
def fresh(folder, base, origin) -> Iterator[Machine]:
    """A host with the clone of the repository and its settings, and nothing else."""
    machine = Machine.start(f"{PROJECT}-fresh", folder / "fresh", base, origin, kind="fresh")
    try:
        machine.shell(f"git clone -q {origin} {machine.repository}", cwd=machine.home)
        machine.shell("cp .env.example .env")
        machine.setting(SSD_PATH=machine.ssd, HDD_PATH=machine.hdd, HOST_USER="deploy")
        yield machine
    finally:
        machine.end()
        shutil.rmtree(machine.home)


def test_check_tells_what_a_fresh_host_lacks_and_changes_nothing(fresh):
    looked = fresh.call(LOOK)
    lacking = (
        "docker engine",
        "nftables",
        "unattended-upgrades",
        "sets the clock",
        "user deploy",
        "mailboxes/",
    )
    assert looked.returncode and [word for word in lacking if word not in looked.stdout] == []
    assert fresh.call(f"command -v docker || ls /etc/systemd/system/{PROJECT}-*").returncode


@pytest.fixture(scope="module")
def ready(fresh) -> Machine:
    """The host after its first setup."""
    fresh.shell(SETUP)
    return fresh


def test_afterwards_check_has_nothing_to_say_and_a_second_setup_nothing_to_do(ready):
    assert "Nothing to change" in ready.shell(LOOK)
    assert "Nothing to change" in ready.shell(SETUP)


def test_the_engine_runs_with_bounded_logs_and_the_deploying_user_reaches_it(ready):
    assert "json-file" in ready.shell("su deploy -c 'docker info --format {{.LoggingDriver}}'")
    assert "max-size" in ready.shell("cat /etc/docker/daemon.json")
    ready.shell("docker compose version")


def test_the_firewall_keeps_ssh_open_and_leaves_the_engines_rules_alone(ready):
    rules = ready.shell("nft list ruleset")
    assert "tcp dport 22 accept" in rules and "policy drop" in rules and "DOCKER" in rules
    ready.shell(f"systemctl is-enabled {PROJECT}-firewall && ssh-keyscan -T 5 localhost")


def test_a_port_that_would_be_cut_off_stops_the_setup_before_anything_changes(ready):
    listens = "until ss -Htln | grep -q :8088; do :; done"
    ready.shell(f"systemd-run -q --unit web python3 -m http.server 8088 && {listens}")
    refused = ready.call(SETUP)
    assert refused.returncode and "8088 (python3)" in refused.stdout and "HOST_OPEN_PORTS" in refused.stdout
    ready.setting(HOST_OPEN_PORTS="8088")
    ready.shell(SETUP)
    assert "tcp dport { 22, 8088 } accept" in ready.shell("nft list ruleset")
