"""SSH to the host: from where, and what the key that GitHub has may ask for, tried with a real sshd."""

import getpass
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ENV, Cli

from mailctl.core.context import Context
from mailctl.core.errors import Refused
from mailctl.core.output import Output
from mailctl.host import files, parts, ready, ssh, units
from mailctl.host.parts import Host
from tests.ports import free_port

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE9sZEtleU9mVGhlT3BlcmF0b3JOb3RBUmVhbE9uZQ== ci"
SCRIPTS = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}/platform/scripts"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OPERATOR = "ssh-ed25519 AAAAC3Nz operator@laptop"


@pytest.fixture
def authorized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where root's keys are, with one of the operator's; nobody is logged in over SSH."""
    monkeypatch.setattr(ssh, "AUTHORIZED", path := tmp_path / "root/.ssh/authorized_keys")
    monkeypatch.setattr(ssh, "session", lambda: "")
    monkeypatch.setattr(parts, "ssh_ports", lambda: ("22", "2222"))
    path.parent.mkdir(parents=True)
    path.write_text(f"{OPERATOR}\n")
    return path


def host(repo: Path, *settings: str) -> Host:
    """The host as .env with these settings has it."""
    (repo / ".env").write_text("\n".join([ENV, *settings, ""]))
    place = units.Place("shop-mail", repo, repo / "hdd", repo / "ssd", "UTC")
    return ready.host(Context(repo, Output(), environ={}), place)


def bring(found: Host) -> None:
    part = next(each for each in parts.PARTS if each.name == "key")
    if part.missing(found):
        part.repair(found)
    assert part.missing(found) == []


def firewall(found: Host) -> list[str]:
    text = files.texts(found.place, found.choices)[files.firewall(found.place)]
    return [line.strip() for line in text.splitlines() if "dport" in line and "udp sport" not in line]


def test_without_addresses_the_firewall_opens_ssh_to_all(repo: Path, authorized: Path) -> None:
    assert firewall(host(repo)) == ["tcp dport { 22, 2222 } accept"]


def test_with_addresses_it_opens_ssh_to_them_alone_and_the_rest_to_all(repo: Path, authorized: Path) -> None:
    found = host(repo, "HOST_OPEN_PORTS=443", "DEPLOY_SSH_FROM=203.0.113.7, 203.0.113.0/24,2001:db8::/48")
    assert firewall(found) == [
        "tcp dport { 443 } accept",
        "ip saddr { 203.0.113.0/24 } tcp dport { 22, 2222 } accept",
        "ip6 saddr { 2001:db8::/48 } tcp dport { 22, 2222 } accept",
    ]


def test_addresses_of_one_kind_close_ssh_to_the_other(repo: Path, authorized: Path) -> None:
    lines = firewall(host(repo, "DEPLOY_SSH_FROM=203.0.113.7"))
    assert lines == ["ip saddr { 203.0.113.7/32 } tcp dport { 22, 2222 } accept"]


@pytest.mark.parametrize("wrong", ["mail.example.com", "203.0.113.7/40", "*"])
def test_what_is_no_address_is_refused(repo: Path, authorized: Path, wrong: str) -> None:
    with pytest.raises(Refused, match="is no address"):
        host(repo, f"DEPLOY_SSH_FROM=203.0.113.7,{wrong}")


@pytest.mark.parametrize("here", ["198.51.100.9", "2001:db8:1::9"])
def test_nobody_locks_out_the_session_that_he_is_in(
    repo: Path, authorized: Path, monkeypatch: pytest.MonkeyPatch, here: str
) -> None:
    monkeypatch.setattr(ssh, "session", lambda: here)
    with pytest.raises(Refused, match=f"leaves out {here}"):
        host(repo, "DEPLOY_SSH_FROM=203.0.113.7,2001:db8::/48")
    host(repo, f"DEPLOY_SSH_FROM=203.0.113.7,{here}")


@pytest.mark.parametrize(
    ("connection", "who", "found"),
    [
        ("198.51.100.9 50000 192.0.2.1 22", "", "198.51.100.9"),
        ("", "root pts/0 2026-11-28 10:00 (198.51.100.9)", "198.51.100.9"),
        ("::ffff:198.51.100.9 50000 ::1 22", "", "198.51.100.9"),
        ("", "root tty1 2026-11-28 10:00", ""),
        ("", "root pts/0 2026-11-28 10:00 (laptop.example.com)", ""),
    ],
)
def test_the_session_is_known_by_the_shell_or_behind_sudo_by_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connection: str, who: str, found: str
) -> None:
    (tmp_path / "who").write_text(f"#!/bin/sh\necho {shlex.quote(who)}\n")
    (tmp_path / "who").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SSH_CONNECTION", connection)
    assert ssh.session() == found


def test_the_key_is_restricted_to_the_agent_and_keeps_the_operator_s(repo: Path, authorized: Path) -> None:
    given = ("DEPLOY_METHOD=ssh", f"DEPLOY_SSH_PUBLIC_KEY='{KEY}'", "DEPLOY_SSH_FROM=203.0.113.7")
    bring(host(repo, *given, "AGENT_DIR=/opt/agent"))
    own = f'restrict,from="203.0.113.7/32",command="/opt/agent/run over-ssh" {KEY[:-3]} shop-mail-deploy'
    assert authorized.read_text().splitlines() == [OPERATOR, own]
    assert authorized.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("then", ["DEPLOY_METHOD=pull", "DEPLOY_METHOD=ssh\nDEPLOY_SSH_PUBLIC_KEY="])
def test_the_key_goes_with_its_method_or_setting(repo: Path, authorized: Path, then: str) -> None:
    bring(host(repo, "DEPLOY_METHOD=ssh", f"DEPLOY_SSH_PUBLIC_KEY='{KEY}'"))
    bring(host(repo, f"DEPLOY_SSH_PUBLIC_KEY='{KEY}'\n{then}"))
    assert authorized.read_text() == f"{OPERATOR}\n"


def test_a_new_key_takes_the_place_of_the_old_one(repo: Path, authorized: Path) -> None:
    bring(host(repo, "DEPLOY_METHOD=ssh", f"DEPLOY_SSH_PUBLIC_KEY='{KEY}'"))
    bring(host(repo, "DEPLOY_METHOD=ssh", "DEPLOY_SSH_PUBLIC_KEY='ssh-ed25519 BBBB'"))
    assert [line.split()[-2] for line in authorized.read_text().splitlines()] == ["AAAAC3Nz", "BBBB"]


@pytest.mark.parametrize("wrong", ["-----BEGIN OPENSSH PRIVATE KEY-----", 'command="sh" ssh-ed25519 AAAA'])
def test_what_is_no_public_key_is_refused_and_not_shown(repo: Path, authorized: Path, wrong: str) -> None:
    with pytest.raises(Refused, match="is no public key") as refused:
        host(repo, "DEPLOY_METHOD=ssh", f"DEPLOY_SSH_PUBLIC_KEY='{wrong}'")
    assert "BEGIN" not in str(refused.value)


def test_the_folder_that_is_asked_through_belongs_to_the_api_alone(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners: dict[Path, tuple[int, int]] = {}
    monkeypatch.setattr(parts.os, "chown", lambda path, *ids: owners.update({path: ids}))
    found = host(repo)
    next(each for each in parts.PARTS if each.name == "folders").repair(found)
    assert owners == {repo / "ssd/hasten": (10001, 10001)}
    assert (repo / "ssd/hasten").stat().st_mode & 0o777 == 0o700


def test_a_host_that_pulls_also_looks_when_a_workflow_asks(repo: Path) -> None:
    place = units.Place("shop-mail", repo, repo / "hdd", repo / "100% ssd", "UTC")
    assert "shop-mail-hasten.path" not in units.texts(place, units.JOBS)
    text = units.texts(place, (*units.JOBS, units.PULL))["shop-mail-hasten.path"]
    assert f"\nPathChanged={repo}/100%% ssd/hasten/asked\nUnit=shop-mail-deploy.service\n" in text


@pytest.fixture
def server(repo: Path, authorized: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real sshd with the line that setup-host writes; its agent is the mailctl of this checkout."""
    for name in ("host", "deploy"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    agent = tmp_path / "agent"
    agent.mkdir()
    start = f"export MAILCTL_REPO={repo} PYTHONPATH={os.pathsep.join(sys.path)}"
    (agent / "run").write_text(f'#!/bin/sh\n{start}\nexec {sys.executable} -m mailctl agent "$@"\n')
    (agent / "run").chmod(0o755)
    (repo / "Makefile").write_text("verify:\n\t@echo all is well\n")
    public = (tmp_path / "deploy.pub").read_text().strip()
    bring(
        host(
            repo,
            "DEPLOY_METHOD=ssh",
            f"DEPLOY_SSH_PUBLIC_KEY='{public}'",
            f"AGENT_DIR={agent}",
            f"SSD_PATH={tmp_path}/ssd",
        )
    )
    port = free_port()
    options = (
        *("UsePAM=no", "StrictModes=no", "PasswordAuthentication=no", "PidFile=none", f"Port={port}"),
        *("ListenAddress=127.0.0.1", f"HostKey={tmp_path}/host", f"AuthorizedKeysFile={authorized}"),
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    words = ["/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", *(f"-o{each}" for each in options)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as running:
        try:
            answers(port)
            key = " ".join((tmp_path / "host.pub").read_text().split()[:2])
            yield {
                "DEPLOY_HOST": f"ssh://{getpass.getuser()}@127.0.0.1:{port}",
                "DEPLOY_KNOWN_HOSTS": f"[127.0.0.1]:{port} {key}",
                "DEPLOY_SSH_KEY": (tmp_path / "deploy").read_text(),
            }
        finally:
            running.terminate()


def answers(port: int, limit: float = 120) -> None:
    """Wait until somebody answers there."""
    end = time.monotonic() + limit
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "sshd does not answer"


def over_ssh(server: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **server}
    words = (str(SCRIPTS / "over-ssh.sh"), *words)
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)


def raw(server: dict[str, str], tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The same key in the hands of somebody who uses it for something else."""
    (tmp_path / "known").write_text(server["DEPLOY_KNOWN_HOSTS"] + "\n")
    options = ("BatchMode=yes", f"UserKnownHostsFile={tmp_path}/known", "IdentitiesOnly=yes")
    given = [*(f"-o{each}" for each in options), "-i", str(tmp_path / "deploy"), *words]
    return subprocess.run(
        given if words[0] == "scp" else ["ssh", *given],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.sshd
def test_the_agent_is_asked_for_a_deployment_and_a_verification(server: dict[str, str]) -> None:
    verified = over_ssh(server, "verify")
    assert (verified.returncode, verified.stdout) == (0, "all is well\n"), verified.stderr
    deployed = over_ssh(server, "deploy", COMMIT)
    # This checkout has no agent.yml: it is the agent that refuses, having understood.
    assert deployed.returncode == 1 and "agent.yml" in deployed.stderr, deployed.stderr


@pytest.mark.sshd
@pytest.mark.parametrize(
    "asked",
    ["sh", f"deploy {COMMIT}; id", f"deploy {COMMIT[:12]}", "deploy $(id)", "verify && id", "", "rollback"],
)
def test_the_key_gets_nothing_else(server: dict[str, str], tmp_path: Path, asked: str) -> None:
    done = raw(server, tmp_path, server["DEPLOY_HOST"], asked)
    assert done.returncode == 1 and "is not what this key is for" in done.stderr
    assert "uid=" not in done.stdout


@pytest.mark.sshd
def test_the_key_copies_no_file_and_forwards_no_port(server: dict[str, str], tmp_path: Path) -> None:
    copy = ["scp", *(f"-o{each}" for each in ("BatchMode=yes", f"UserKnownHostsFile={tmp_path}/known"))]
    (tmp_path / "known").write_text(server["DEPLOY_KNOWN_HOSTS"] + "\n")
    source = server["DEPLOY_HOST"].replace("ssh:", "scp:") + "//etc/hostname"
    words = [*copy, "-i", str(tmp_path / "deploy"), source, str(tmp_path / "copied")]
    subprocess.run(words, capture_output=True, timeout=60, check=False)
    assert not (tmp_path / "copied").exists()
    port = server["DEPLOY_HOST"].rpartition(":")[2]
    through = raw(server, tmp_path, "-W", f"127.0.0.1:{port}", server["DEPLOY_HOST"])
    assert through.returncode != 0 and "prohibited" in through.stderr


@pytest.mark.sshd
def test_a_host_with_another_key_gets_nothing(server: dict[str, str], tmp_path: Path) -> None:
    other = (tmp_path / "deploy.pub").read_text().split()[1]
    name = server["DEPLOY_KNOWN_HOSTS"].split()[0]
    done = over_ssh({**server, "DEPLOY_KNOWN_HOSTS": f"{name} ssh-ed25519 {other}"}, "verify")
    assert done.returncode == 255 and "Host key verification failed" in done.stderr


def test_removing_the_host_s_files_takes_the_key_as_well(
    cli: Cli, repo: Path, authorized: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(host(repo, "DEPLOY_METHOD=ssh", f"DEPLOY_SSH_PUBLIC_KEY='{KEY}'", "SSD_PATH=/srv", "HDD_PATH=/srv"))
    monkeypatch.setattr("mailctl.host.cli._run", lambda *_: [])
    assert cli("host", "remove").exit_code == 0
    assert authorized.read_text() == f"{OPERATOR}\n"
