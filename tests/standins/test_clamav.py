"""The stand-in for ClamAV: a real clamd with one signature, and upstream's way of starting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.standins.hardened import Container, docker, wait_until

OPTIONS = (
    *(
        "--user=clamav",
        "--entrypoint=/init-unprivileged",
        "--init",
        "--tmpfs=/tmp",
        "--volume=/var/lib/clamav",
    ),
    "--tmpfs=/var/log/clamav:uid=1000,gid=1000",
)
# The harmless test file that every scanner knows, in halves, so that none takes this file for it.
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + "ANTIVIRUS-TEST-FILE!$H+H*"


@pytest.fixture(scope="module")
def clamav(start: Callable[..., Container]) -> Container:
    """A scanner after its first start."""
    container = start("clamav", *OPTIONS)
    container.wait_healthy("clamdcheck.sh")
    return container


def test_it_finds_the_test_virus(clamav: Container) -> None:
    result = clamav.execute("clamdscan", "--stream", "-", stdin=EICAR)
    assert result.returncode == 1
    assert "FOUND" in result.stdout


def test_it_finds_it_inside_a_mail(clamav: Container) -> None:
    mail = f"From: a@example.com\r\nSubject: x\r\nContent-Type: application/octet-stream\r\n\r\n{EICAR}\r\n"
    assert clamav.execute("clamdscan", "--stream", "-", stdin=mail).returncode == 1


def test_it_passes_what_is_clean(clamav: Container) -> None:
    assert clamav.execute("clamdscan", "--stream", "-", stdin="hello").returncode == 0


def test_it_runs_as_uid_1000_and_answers_on_3310(clamav: Container) -> None:
    assert clamav.execute("id", "-u").stdout.strip() == "1000"
    assert clamav.succeeds("nc", "-z", "127.0.0.1", "3310")


def test_it_goes_on_waiting_when_the_daemon_has_died(start: Callable[..., Container]) -> None:
    container = start("clamav", *OPTIONS)
    container.wait_healthy("clamdcheck.sh")
    assert container.succeeds("sh", "-c", "kill -9 $(pidof clamd)")
    wait_until(lambda: not container.succeeds("clamdcheck.sh"), "a daemon that does not answer")
    assert not container.exited()


def test_a_freshclam_configuration_that_the_real_program_refuses_ends_the_container(
    start: Callable[..., Container], folder: Path
) -> None:
    (folder / "freshclam.conf").write_text("NoSuchOption yes\n")
    mount = f"--volume={folder}/freshclam.conf:/etc/clamav/freshclam.conf:ro"
    container = start("clamav", *OPTIONS, mount)
    docker("wait", container.name)
    assert "NoSuchOption" in container.log()
