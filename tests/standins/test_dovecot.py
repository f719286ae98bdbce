"""The stand-in for dovecot: rootless, and with upstream's two traps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standins.hardened import KILLED_AFTER, Container, wait_until

OPTIONS = ("--tmpfs=/tmp", "--tmpfs=/run/dovecot:uid=1000,gid=1000", "--env=USER_PASSWORD={PLAIN}words")
NO_CHROOT = "".join(
    f"service {name} {{\n  chroot =\n}}\n" for name in ("imap-login", "managesieve-login", "submission-login")
)


@pytest.fixture(scope="module")
def settings(folder: Path) -> str:
    """The mount of a site's own settings."""
    shipped = Path(__file__).parent / "dovecot"
    for name in ("auth.conf", "ssl.conf"):
        (folder / name).write_text((shipped / name).read_text())
    (folder / "site.conf").write_text(NO_CHROOT)
    return f"--volume={folder}:/etc/dovecot/conf.d:ro"


@pytest.fixture(scope="module")
def dovecot(start: Callable[..., Container], settings: str) -> Container:
    """A server with the one capability that its programs need."""
    container = start("dovecot", "--cap-add=SYS_CHROOT", settings, *OPTIONS)
    container.wait_healthy("doveadm", "service", "status", "imap-login")
    return container


def test_it_greets_on_the_rootless_ports(dovecot: Container) -> None:
    greeting = dovecot.execute("sh", "-c", "echo 'a LOGOUT' | nc -q 30 -w 30 127.0.0.1 31143").stdout
    assert greeting.startswith("* OK")
    for port in ("31993", "31024", "34190"):
        assert dovecot.succeeds("nc", "-z", "127.0.0.1", port), port


def test_it_runs_as_uid_1000(dovecot: Container) -> None:
    script = "while read -r key user _; do [ $key != Uid: ] || echo $user; done < /proc/1/status"
    assert dovecot.execute("sh", "-c", script).stdout.strip() == "1000"


def test_mailboxes_are_writable(dovecot: Container) -> None:
    assert dovecot.succeeds("sh", "-c", ": > /srv/vmail/mine")


def test_accounts_are_asked(dovecot: Container) -> None:
    assert dovecot.succeeds("doveadm", "auth", "test", "a@example.com", "words")
    assert not dovecot.succeeds("doveadm", "auth", "test", "a@example.com", "wrong")


@pytest.mark.parametrize(
    "tool", ["cat", "grep", "bash", "ls", "mkdir", "sed", "curl", "env", "python3", "perl"]
)
def test_scripts_cannot_rely_on_other_tools(dovecot: Container, tool: str) -> None:
    assert not dovecot.has_tool(tool)


@pytest.mark.parametrize("tool", ["/usr/bin/nc", "/dovecot/bin/doveadm", "/dovecot/bin/sievec"])
def test_the_tools_of_upstream_are_there_and_where_upstream_has_them(dovecot: Container, tool: str) -> None:
    assert dovecot.execute("sh", "-c", f"command -v {Path(tool).name}").stdout.strip() == tool


def test_it_stops_cleanly(start: Callable[..., Container], settings: str) -> None:
    container = start("dovecot", "--cap-add=SYS_CHROOT", settings, *OPTIONS)
    container.wait_healthy("doveadm", "service", "status", "imap-login")
    assert container.stop() < KILLED_AFTER - 5
    assert container.state()["State"]["ExitCode"] in (0, 143)


def test_without_the_capability_its_programs_do_not_start(
    start: Callable[..., Container], settings: str
) -> None:
    container = start("dovecot", settings, *OPTIONS)
    wait_until(lambda: "startup failed" in container.log(), "a program that cannot start")
