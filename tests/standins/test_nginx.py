"""The stand-in for nginx's Alpine image: templates, user 101, Alpine's tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standins.hardened import KILLED_AFTER, Container, wait_until

TEMPLATE = 'server { listen 8080; location = / { return 200 "$GREETING from $host"; } }\n'


@pytest.fixture(scope="module")
def nginx(start: Callable[..., Container], folder: Path) -> Container:
    """A server whose only site is a template."""
    (folder / "site.conf.template").write_text(TEMPLATE.replace("$GREETING", "${GREETING}"))
    folders = ("/tmp", "/var/cache/nginx", "/var/run", "/etc/nginx/conf.d")  # noqa: S108 (inside the container)
    tmpfs = [f"--tmpfs={path}:uid=101,gid=101" for path in folders]
    mount = f"--volume={folder}:/etc/nginx/templates:ro"
    container = start("nginx", "--user=101", "--env=GREETING=hello", *tmpfs, mount)
    container.wait_healthy("curl", "-fsS", "http://127.0.0.1:8080/")
    return container


def test_templates_take_the_environments_values_and_leave_nginxs_own(nginx: Container) -> None:
    assert nginx.execute("curl", "-fsS", "http://127.0.0.1:8080/").stdout == "hello from 127.0.0.1"


def test_wget_is_busyboxs_as_in_alpine(nginx: Container) -> None:
    assert nginx.execute("wget", "-qO-", "http://127.0.0.1:8080/").stdout == "hello from 127.0.0.1"
    shown = nginx.execute("wget", "--help")
    assert "BusyBox" in shown.stdout + shown.stderr


def test_it_runs_as_uid_101_without_bash(nginx: Container) -> None:
    assert nginx.execute("id", "-u").stdout.strip() == "101"
    assert not nginx.has_tool("bash")


def test_requests_are_logged_to_the_container(nginx: Container) -> None:
    wait_until(lambda: "GET / HTTP/1.1" in nginx.log(), "a line of the log")


def test_it_stops_at_once(start: Callable[..., Container]) -> None:
    tmpfs = [f"--tmpfs={path}:uid=101,gid=101" for path in ("/var/cache/nginx", "/var/run")]
    container = start("nginx", "--user=101", "--sysctl=net.ipv4.ip_unprivileged_port_start=80", *tmpfs)
    container.wait_healthy("curl", "-fsS", "http://127.0.0.1/")
    assert container.stop() < KILLED_AFTER - 5
