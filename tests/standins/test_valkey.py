"""The stand-in for Valkey's Alpine image: configuration file, password, data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.standins.hardened import Container, docker

OPTIONS = ("--user=999:1000", "--volume=/data")


def test_without_settings_it_answers_other_containers_as_upstream_does(
    start: Callable[..., Container],
) -> None:
    container = start("valkey", *OPTIONS)
    container.wait_healthy("valkey-cli", "ping")
    assert container.execute("sh", "-c", "valkey-cli -h $HOSTNAME ping").stdout.strip() == "PONG"
    assert not container.has_tool("bash")


def test_a_configuration_file_sets_a_password_and_the_data_outlives_a_restart(
    start: Callable[..., Container], folder: Path
) -> None:
    (folder / "auth.conf").write_text("requirepass word\n")
    (folder / "valkey.conf").write_text("include /etc/valkey/auth.conf\nappendonly yes\n")
    container = start(
        "valkey", *OPTIONS, f"--volume={folder}:/etc/valkey:ro", command=("/etc/valkey/valkey.conf",)
    )
    container.wait_healthy("valkey-cli", "-a", "word", "ping")
    assert "NOAUTH" in container.execute("valkey-cli", "ping").stdout

    container.execute("valkey-cli", "-a", "word", "set", "key", "value")
    docker("restart", container.name)
    container.wait_healthy("valkey-cli", "-a", "word", "ping")
    assert container.execute("valkey-cli", "-a", "word", "get", "key").stdout.strip() == "value"


def test_a_data_folder_that_it_cannot_write_ends_it_with_the_reason(start: Callable[..., Container]) -> None:
    container = start("valkey", "--user=999:1000", "--tmpfs=/data:ro")
    docker("wait", container.name)
    assert "not writable" in container.log()
