"""The stand-in for HAProxy's Alpine image: its user, options alone, a configuration file, wget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.standins.hardened import Container, docker

SETTINGS = """defaults
  mode http
  timeout client 5s
  timeout connect 5s
  timeout server 5s
listen alive
  bind 127.0.0.1:8404
  monitor-uri /
"""


def test_it_runs_as_its_own_user_with_the_configuration_that_is_mounted(
    start: Callable[..., Container], folder: Path
) -> None:
    (folder / "haproxy.cfg").write_text(SETTINGS)
    target = "/usr/local/etc/haproxy/haproxy.cfg"
    container = start("haproxy", "--user=99:99", f"--volume={folder}/haproxy.cfg:{target}:ro")
    container.wait_healthy("wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8404/")
    assert container.execute("id", "-un").stdout.strip() == "haproxy"
    assert not container.has_tool("bash")


def test_options_alone_mean_haproxy(start: Callable[..., Container]) -> None:
    container = start("haproxy", command=("-vv",))
    docker("wait", container.name)
    assert "HAProxy version 3.2" in container.log()
